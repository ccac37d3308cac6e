package loss_test

func init() {
	adapters["listnet"] = reference{second{loss: "ListNet", operands: []string{"scores", "relevance"}}.build, tally{24, 24, 0, 0, 0, 12}}
}
