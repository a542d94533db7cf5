package main

import (
	"math"
	"slices"
)

// quantile is the value that a part q of the values does not exceed, between neighbours by proportion. NaN for none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Clone(values)
	slices.Sort(v)
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// summary describes the readings of all rounds.
type summary struct {
	Median float64 `json:"median"`
	Low    float64 `json:"p25"`
	High   float64 `json:"p75"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

func summarize(values []float64) summary {
	return summary{median(values), quantile(values, 0.25), quantile(values, 0.75), quantile(values, 0), quantile(values, 1), len(values)}
}

// fit finds a and b of y = a + b*x with the least squares of the errors.
func fit(x, y []float64) (a, b float64) {
	var n, sx, sy, sxx, sxy float64
	for i := range min(len(x), len(y)) {
		n++
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	d := n*sxx - sx*sx
	if d == 0 {
		return math.NaN(), math.NaN()
	}
	b = (n*sxy - sx*sy) / d
	return (sy - b*sx) / n, b
}

// ratios compares round by round: how many times better ours was. Rounds in which one of them failed do not count.
func ratios(ours, peer []float64, lowerIsBetter bool) (r []float64) {
	for i := range min(len(ours), len(peer)) {
		a, b := ours[i], peer[i]
		if lowerIsBetter {
			a, b = b, a
		}
		if v := a / b; !math.IsNaN(v) && !math.IsInf(v, 0) {
			r = append(r, v)
		}
	}
	return r
}

// present leaves out the rounds without a reading.
func present(values []float64) (r []float64) {
	for _, v := range values {
		if !math.IsNaN(v) {
			r = append(r, v)
		}
	}
	return r
}
