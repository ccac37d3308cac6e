// Package comm holds the collective calls of a run on several ranks.
//
// A rank is one process, or one goroutine, of a run of [Comm.Size] ranks, numbered from 0. A
// collective is a call that every rank makes together: [Allreduce] adds a slice over the ranks or
// takes its largest entries, [Allgather] joins the ranks' slices, [ReduceScatter] adds slices and
// leaves each rank its own piece, [Broadcast] copies one rank's slice to all, [Barrier] waits for
// all. Every rank makes the same calls in the same order, with slices of the same type, and of the
// same length where the collective's comment does not say otherwise. Slices hold float32, float64
// or int64.
//
// [Local] is the run of one rank, whose collectives cost nothing: code written for ranks runs
// alone with it. [Run] starts k ranks as goroutines of one process, for tests and trials. Package
// comm/mpi connects processes and hosts.
//
// # Calls that disagree
//
// Ranks of [Run] compare each call before they carry it out. Where two ranks name other
// collectives, types, lengths, operations or roots, every rank gets the same error, which names
// two ranks that differ, no slice changes, and the run may go on. [Checked] does the same for any
// Comm at the price of one small collective for each call; without it MPI may hang, end the run or
// return numbers that mean nothing. A rank that closes while others wait for it gives each of them
// an error, and so does every later call.
//
// # Bits
//
// A sum of floating numbers depends on the order of its terms. Local, Run and [Deterministic] add
// in the order of the ranks: every rank gets the same bits, and so does every run on that many
// ranks, though not on another number of them. MPI adds in an order of its own, which it may
// choose anew each time. Take Deterministic for a loss's few numbers, where it costs nothing, and
// choose for gradients: it moves k slices where a reduction moves two.
//
// The largest entry of numbers with a NaN among them is NaN, except where MPI takes it.
package comm
