package loss

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The operations of Gorgonia v0.9.18 whose derivatives are wrong, by the names of their Go types:
// TestGradientsOfOperations in package machine compares all of them with differences.

// underivable are those that Gradients and VJP refuse to differentiate.
var underivable = map[string]string{
	"atOp":                "gorgonia.At has no derivative; gorgonia.Slice has one",
	"ctcLossOp":           "gorgonia.CTCLoss has a wrong derivative: that of a mean is not divided",
	"avgPoolOp":           "gorgonia.AveragePool2D has a wrong derivative; a Conv2d with a constant kernel is a mean, too",
	"globalAveragePoolOp": "gorgonia.GlobalAveragePool2D has no derivative; gorgonia.Mean along axes 2 and 3 has one",
	"dropoutOp":           "gorgonia.Dropout has a wrong derivative; a product with random factors of one's own has the right one",
	"maxPoolDiffOp":       "gorgonia.MaxPool2D, gorgonia.MaxPool1D or gorgonia.AveragePool1D, which takes maxima, too," + once,
	"avgPoolDiffOp":       "gorgonia.AveragePool2D" + once,
	"batchnormDiffOp":     "gorgonia.BatchNorm" + once,
	"groupNormDiffOp":     "gorgonia.GroupNorm" + once,
	"sparsemaxDiffOp":     "gorgonia.Sparsemax" + once,
	"softmaxDiffOp":       "gorgonia.SoftMax" + once + "; Softmax and LogSoftmax have one",
	"dropoutDiffOp":       "gorgonia.Dropout" + once,
	"byIndicesOpDiffOp":   "gorgonia.ByIndices" + once,
	"upsampleDiffOp":      "gorgonia.Upsample2D" + once,
}

const once = " has no second derivative"

// A mend builds the derivatives of an operation in the place of Gorgonia's.
type mend func(op G.Op, operands G.Nodes, out, upstream *G.Node) (G.Nodes, error)

// mended are the operations that have one. Those of a number are listed by what they print, too.
var mended = map[string]mend{
	"elemUnaryOp log2": func(_ G.Op, operands G.Nodes, _, upstream *G.Node) (G.Nodes, error) {
		return only(chain(upstream, G.HadamardDiv, operands[0], 1/math.Ln2))
	},
	"elemUnaryOp invSqrt": func(_ G.Op, operands G.Nodes, out, upstream *G.Node) (G.Nodes, error) { // out = x^-½
		slope, err := G.HadamardDiv(out, operands[0])
		if err != nil {
			return nil, err
		}
		return only(chain(upstream, G.HadamardProd, slope, -0.5))
	},
	// What a slice passes back takes from its first operand the shape alone.
	"sliceIncrOp": func(op G.Op, operands G.Nodes, out, upstream *G.Node) (G.Nodes, error) {
		parts, err := op.(G.SDOp).SymDiff(operands, out, upstream)
		if err != nil || len(parts) != 2 {
			return nil, err
		}
		return G.Nodes{nil, parts[1]}, nil
	},
	// col2im adds up what im2col has copied.
	"col2imOp": func(op G.Op, _ G.Nodes, _, upstream *G.Node) (G.Nodes, error) {
		pair := func(name string) tensor.Shape {
			v := reflect.ValueOf(op)
			return tensor.Shape{int(v.FieldByName(name + "H").Int()), int(v.FieldByName(name + "W").Int())}
		}
		v := reflect.ValueOf(op)
		kernel := tensor.Shape{int(v.FieldByName("h").Int()), int(v.FieldByName("w").Int())}
		return only(G.Im2Col(upstream, kernel, pair("pad"), pair("stride"), pair("dilation")))
	},
}

func only(n *G.Node, err error) (G.Nodes, error) { return G.Nodes{n}, err }

// chain returns factor·f(upstream, slope).
func chain(upstream *G.Node, f func(a, b *G.Node) (*G.Node, error), slope *G.Node, factor float64) (*G.Node, error) {
	n, err := f(upstream, slope)
	if err != nil {
		return nil, err
	}
	if n.Dtype() == tensor.Float32 {
		return G.Mul(n, G.NewConstant(float32(factor)))
	}
	return G.Mul(n, G.NewConstant(factor))
}

// gorgoniaName returns the name of the Go type of an operation of Gorgonia, "" for any other.
func gorgoniaName(op G.Op) string {
	t := reflect.TypeOf(op)
	if t == nil {
		return ""
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch name := t.Name(); {
	case !strings.HasSuffix(t.PkgPath(), "gorgonia.org/gorgonia"):
		return ""
	case name == "elemUnaryOp":
		return name + " " + fmt.Sprint(op)
	default:
		return name
	}
}
