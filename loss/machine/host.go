package machine

import (
	"errors"
	"reflect"
	"sync"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// hostTypes are types of Gorgonia that are not exported. They are taken from nodes that have them.
type hostTypes struct {
	read, set reflect.Type
	reusing   map[reflect.Type]bool // operations whose UsePreallocDo overwrites all of the memory that it is given
}

// host returns Gorgonia's own types, or an error where this version of Gorgonia is none that the
// machine knows.
var host = sync.OnceValues(func() (*hostTypes, error) {
	g := G.NewGraph()
	x := G.NewMatrix(g, tensor.Float64, G.WithName("x"), G.WithShape(2, 2))
	y := G.NewMatrix(g, tensor.Float64, G.WithName("y"), G.WithShape(2, 2))
	var v G.Value
	h := &hostTypes{
		read:    reflect.TypeOf(G.Read(x, &v).Op()),
		set:     reflect.TypeOf(G.Set(x, y).Op()),
		reusing: make(map[reflect.Type]bool),
	}
	for _, build := range []func(a, b *G.Node) (*G.Node, error){G.Add, G.Mul} {
		n, err := build(x, y)
		if err != nil {
			return nil, err
		}
		h.reusing[reflect.TypeOf(n.Op())] = true
	}
	if t := h.read; t.Kind() != reflect.Struct || t.NumField() != 1 || t.Field(0).Type != reflect.TypeFor[*G.Value]() {
		return nil, errors.New("machine: this version of Gorgonia has another Read statement than v0.9.18")
	}
	return h, nil
})

// destination returns where a Read statement writes, nil for any other operation. Nothing exported
// tells it.
func (h *hostTypes) destination(op G.Op) *G.Value {
	if op == nil || reflect.TypeOf(op) != h.read {
		return nil
	}
	return (*G.Value)(reflect.ValueOf(op).Field(0).UnsafePointer())
}

// isSet reports a Set statement.
func (h *hostTypes) isSet(op G.Op) bool { return op != nil && reflect.TypeOf(op) == h.set }

// isConstant reports a node whose value is part of its operation.
func isConstant(op G.Op) bool {
	_, ok := op.(interface{ Value() G.Value })
	return ok
}

// address returns the address of an operation that has one of its own, else 0: all empty structs
// share theirs.
func address(op G.Op) uintptr {
	if v := reflect.ValueOf(op); v.Kind() == reflect.Pointer && !v.IsNil() && v.Type().Elem().Size() > 0 {
		return v.Pointer()
	}
	return 0
}

// pointers returns the addresses that an operation holds in its fields.
func pointers(op G.Op) []uintptr {
	v := reflect.ValueOf(op)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	var out []uintptr
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Interface {
			f = f.Elem()
		}
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			out = append(out, f.Pointer())
		}
	}
	return out
}
