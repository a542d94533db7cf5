package linkmodel

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseRate reads [constant,|ether,]BPS, such as 10M or ether,1G.
func ParseRate(s string) (r Rate, err error) {
	kind, rest, two := strings.Cut(s, ",")
	switch {
	case !two:
		rest = s
	case kind == "ether":
		r.Ether = true
	case kind != Constant:
		return r, fmt.Errorf("bandwidth %q: expected bits a second such as 10M, constant,10M or ether,10M", s)
	}
	r.Bits, err = number(rest, map[byte]float64{'k': 1e3, 'm': 1e6, 'g': 1e9})
	if err != nil {
		return r, fmt.Errorf("bandwidth %q: %w, with k, M or G behind it or not", s, err)
	}
	if r.Bits != 0 && r.Bits < 1 {
		return r, fmt.Errorf("bandwidth %q: expected at least one bit a second, or 0 for no limit", s)
	}
	return r, nil
}

// ParseDelay reads [constant,]T, uniform,MIN,MAX or exp,MIN,MEAN, where times
// are such as 20ms, 5u or 1.5 (seconds).
func ParseDelay(s string) (d Delay, err error) {
	words := strings.Split(s, ",")
	if len(words) == 1 {
		words = []string{Constant, s}
	}
	d.Kind = words[0]
	want := map[string]int{Constant: 2, Uniform: 3, Exponential: 3}[d.Kind]
	if want == 0 || len(words) != want {
		return Delay{}, fmt.Errorf("delay %q: expected a time such as 20ms, uniform,MIN,MAX or exp,MIN,MEAN", s)
	}
	if d.Min, err = ParseTime(words[1]); err == nil && want == 3 {
		d.Max, err = ParseTime(words[2])
	}
	if err != nil {
		return Delay{}, fmt.Errorf("delay %q: %w", s, err)
	}
	if want == 3 && d.Max < d.Min {
		return Delay{}, fmt.Errorf("delay %q: %v is less than %v", s, d.Max, d.Min)
	}
	if d.Kind == Constant && d.Min == 0 {
		return Delay{}, nil
	}
	return d, nil
}

// ParseLoss reads [plr,]X or ber,X.
func ParseLoss(s string) (l Loss, err error) {
	kind, rest, two := strings.Cut(s, ",")
	switch {
	case !two:
		rest = s
	case kind == "ber":
		l.Bits = true
	case kind != "plr":
		return l, fmt.Errorf("loss %q: expected a part of the frames such as 0.01, plr,0.01 or ber,1e-6", s)
	}
	if l.Rate, err = part(rest); err != nil {
		return l, fmt.Errorf("loss %q: %w", s, err)
	}
	return l, nil
}

// ParseHold reads const,P,T: a part of the frames, and how long they are held.
func ParseHold(s string) (h Hold, err error) {
	words := strings.Split(s, ",")
	if len(words) != 3 || words[0] != "const" && words[0] != Constant {
		return h, fmt.Errorf("reordering %q: expected const,P,T, such as const,0.01,5ms", s)
	}
	if h.Rate, err = part(words[1]); err == nil {
		h.Time, err = ParseTime(words[2])
	}
	if err != nil {
		return Hold{}, fmt.Errorf("reordering %q: %w", s, err)
	}
	return h, nil
}

// ParseQueue reads bytes, with k, M or G behind them or not.
func ParseQueue(s string) (uint64, error) {
	n, err := number(s, map[byte]float64{'k': 1e3, 'm': 1e6, 'g': 1e9})
	if err != nil || n > 1<<40 {
		return 0, fmt.Errorf("queue %q: expected a number of bytes, with k, M or G behind it or not", s)
	}
	return uint64(n), nil
}

// ParseTime reads a time in seconds, or with s, m(s), u(s) or n(s) behind it.
func ParseTime(s string) (time.Duration, error) {
	digits := s
	if t := strings.TrimSuffix(s, "s"); t != s && strings.HasSuffix(t, "m") || strings.HasSuffix(t, "u") || strings.HasSuffix(t, "n") {
		digits = t
	}
	f, err := number(digits, map[byte]float64{'s': 1, 'm': 1e-3, 'u': 1e-6, 'n': 1e-9})
	if err != nil || f > 1e6 {
		return 0, fmt.Errorf("%q is no time; expected one such as 20ms, 50us or 1.5 (seconds)", s)
	}
	return time.Duration(math.Round(f * 1e9)), nil
}

func part(s string) (float64, error) {
	f, err := number(s, nil)
	if err != nil || f > 1 {
		return 0, fmt.Errorf("%q: expected a number from 0 to 1", s)
	}
	return f, nil
}

// number reads a number that is not negative, with one of the suffixes or none.
func number(s string, suffixes map[byte]float64) (float64, error) {
	scale, digits := 1.0, s
	if n := len(s); n > 1 {
		c := s[n-1]
		f, ok := suffixes[c]
		if !ok {
			f, ok = suffixes[c|0x20] // M and m are the same
		}
		if ok && (c < '0' || c > '9') {
			scale, digits = f, s[:n-1]
		}
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
		return 0, fmt.Errorf("%q: expected a number", s)
	}
	return f * scale, nil
}
