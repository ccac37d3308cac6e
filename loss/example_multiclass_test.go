package loss_test

import (
	"fmt"
	"math"

	"github.com/surprisal-go/surprisal/loss"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// exampleLabel is an input node with the label of one row.
func exampleLabel(g *G.ExprGraph, y int) *G.Node {
	v := tensor.New(tensor.WithShape(1), tensor.WithBacking([]int{y}))
	return G.NewVector(g, tensor.Int, G.WithName("labels"), G.WithShape(1), G.WithValue(v))
}

// exampleLabelled is the value of a loss on one row of three logits with label 0.
func exampleLabelled(f loss.Func, opts ...loss.Option) any {
	g := G.NewGraph()
	return exampleValue(f(exampleRow(g, "logits", 2, 1.5, -1), exampleLabel(g, 0), opts...))
}

func ExampleCrossEntropy() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3)) // probabilities ¼ and ¾
	labels := exampleLabel(g, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.CrossEntropy(logits, labels)))
	// Output: 1.386294
}

func ExampleNLL() {
	g := G.NewGraph()
	logProb := exampleRow(g, "logProb", math.Log(0.25), math.Log(0.75))
	fmt.Printf("%.6f\n", exampleValue(loss.NLL(logProb, exampleLabel(g, 0))))
	// Output: 1.386294
}

func ExampleCrossEntropyFromProb() {
	g := G.NewGraph()
	prob := exampleRow(g, "prob", 0.25, 0.75)
	fmt.Printf("%.6f\n", exampleValue(loss.CrossEntropyFromProb(prob, exampleLabel(g, 0))))
	// Output: 1.386294
}

func ExampleZTerm() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3)) // log Σ exp is log 4
	cost, err := loss.CrossEntropy(logits, exampleLabel(g, 0), loss.WithZLoss(0.1))
	if err != nil {
		fmt.Println(err)
		return
	}
	term, err := loss.ZTerm(cost)
	if err != nil {
		fmt.Println(err)
		return
	}
	// One run of the graph computes both.
	fmt.Printf("z-loss %.6f", exampleValue(term, nil))
	fmt.Printf(" of %.6f\n", cost.Value().Data())
	// Output: z-loss 0.192181 of 1.578476
}

func ExampleSoftmaxFocal() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3))
	// ¾²·log 4
	fmt.Printf("%.6f\n", exampleValue(loss.SoftmaxFocal(logits, exampleLabel(g, 0))))
	// Output: 0.779791
}

func ExamplePolyCrossEntropy() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3))
	// log 4 + 1·¾
	fmt.Printf("%.6f\n", exampleValue(loss.PolyCrossEntropy(logits, exampleLabel(g, 0), loss.WithEpsilon(1))))
	// Output: 2.136294
}

func ExampleGeneralizedCrossEntropy() {
	g := G.NewGraph()
	logits := exampleRow(g, "logits", 0, math.Log(3))
	// (1 - √¼)/½
	fmt.Printf("%.6f\n", exampleValue(loss.GeneralizedCrossEntropy(logits, exampleLabel(g, 0), loss.WithQ(0.5))))
	// Output: 1.000000
}

func ExampleMultiMargin() {
	// class 1 is within the margin by ½: ½/3
	fmt.Printf("%.6f\n", exampleLabelled(loss.MultiMargin))
	// Output: 0.166667
}

func ExampleMulticlassHinge() {
	fmt.Printf("%.6f\n", exampleLabelled(loss.MulticlassHinge))
	// Output: 0.500000
}

func ExampleMulticlassPerceptron() {
	// the true class is the best one
	fmt.Printf("%.6f\n", exampleLabelled(loss.MulticlassPerceptron))
	// Output: 0.000000
}

func ExampleCategoricalHinge() {
	// 1 + 1.5 - 2
	fmt.Printf("%.6f\n", exampleLabelled(loss.CategoricalHinge))
	// Output: 0.500000
}

func ExampleSparsemax() {
	// p = (¾, ¼, 0): half the squared distance from (1, 0, 0)
	fmt.Printf("%.6f\n", exampleLabelled(loss.Sparsemax))
	// Output: 0.062500
}

func ExampleEntmax15() {
	// √p = (a, a-¼, 0) with a = (½ + √7¾)/4: 4/3·(1 - a³ - (a-¼)³) - ½·(a-¼)²
	fmt.Printf("%.6f\n", exampleLabelled(loss.Entmax15))
	// Output: 0.184371
}

func ExampleEMD() {
	g := G.NewGraph()
	logits := exampleRow(g, "stars", 0, 0, 0) // ⅓ each
	// a rating of 1 star is further off than one of 2
	fmt.Printf("%.6f\n", exampleValue(loss.EMD(logits, exampleLabel(g, 0))))
	g = G.NewGraph()
	logits = exampleRow(g, "stars", 0, 0, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.EMD(logits, exampleLabel(g, 1))))
	// Output:
	// 0.555556
	// 0.222222
}

func ExampleEvidentialMSE() {
	g := G.NewGraph()
	evidence := exampleRow(g, "evidence", 8, 0) // α = (9, 1)
	// 0.1² + 0.1² + 2·0.9·0.1/11
	fmt.Printf("%.6f\n", exampleValue(loss.EvidentialMSE(evidence, exampleLabel(g, 0))))
	// Output: 0.036364
}

func ExampleArcFace() {
	g := G.NewGraph()
	cosines := exampleRow(g, "cosines", 0.5, 0) // 60° from its class, 90° from the other
	// 30° more make the two alike
	fmt.Printf("%.6f\n", exampleValue(loss.ArcFace(cosines, exampleLabel(g, 0), loss.WithMargin(math.Pi/6))))
	// Output: 0.693147
}

func ExampleCosFace() {
	g := G.NewGraph()
	cosines := exampleRow(g, "cosines", 0.35, 0)
	fmt.Printf("%.6f\n", exampleValue(loss.CosFace(cosines, exampleLabel(g, 0))))
	// Output: 0.693147
}

func ExampleDistillation() {
	g := G.NewGraph()
	student := exampleRow(g, "student", 0, 0)
	teacher := exampleRow(g, "teacher", 0, 4*math.Log(3)) // ¼ and ¾ at the temperature of 4
	// ½·4²·(¼·log ½ + ¾·log 3/2) + ½·log 2
	fmt.Printf("%.6f\n", exampleValue(loss.Distillation(student, teacher, exampleLabel(g, 1))))
	// Output: 1.393070
}
