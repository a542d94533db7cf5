package control

import (
	"encoding/base64"
	"slices"
	"strings"
)

// Entries of a page.
const (
	defaultPage = 1000
	maxPage     = 10000
	maxKey      = 128 // bytes: a name and an id
)

// pageRequest is a request for a list that comes in pages.
type pageRequest interface {
	GetPageSize() uint32
	GetPageToken() string
}

// page is which part of a list is asked for.
type page struct {
	size  int
	after string // key of the last entry of the page before, "" for none
}

// page reads a request. A token is the key of an entry, which need not exist any
// more: what comes and goes meanwhile moves nothing else to another page.
func (p *problems) page(req pageRequest) page {
	p.atMost("page_size", req.GetPageSize(), maxPage)
	key, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err != nil || len(key) > maxKey {
		p.add("page_token", "%.64q is none that this call returned", req.GetPageToken())
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	return page{size, string(key)}
}

// cut takes a page out of a list, which it sorts by the key, and returns the token
// of the next one.
func cut[T any](all []T, key func(T) string, at page) (entries []T, next string) {
	all = slices.SortedFunc(slices.Values(all), func(a, b T) int { return strings.Compare(key(a), key(b)) })
	first := 0
	if at.after != "" {
		first, _ = slices.BinarySearchFunc(all, at.after, func(v T, after string) int {
			if key(v) <= after {
				return -1
			}
			return 1
		})
	}
	all = all[first:]
	if len(all) <= at.size {
		return all, ""
	}
	all = all[:at.size]
	return all, base64.RawURLEncoding.EncodeToString([]byte(key(all[at.size-1])))
}
