package vec

// Logarithm is the generic form of [Log] for one number.
var Logarithm = logarithm
