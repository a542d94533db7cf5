package config

import "reflect"

// Changed lists the keys whose values differ between two configurations: the
// paths of values ("log.level") and of lists as a whole ("ports").
func Changed(a, b *Config) []string {
	return changed(schema, reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}

func changed(n *node, a, b reflect.Value) (keys []string) {
	for _, c := range n.children {
		va, vb := c.field(a), c.field(b)
		switch {
		case c.kind == section:
			keys = append(keys, changed(c, va, vb)...)
		case va.Kind() == reflect.Slice && va.Len() == 0 && vb.Len() == 0: // nil or empty
		case !reflect.DeepEqual(va.Interface(), vb.Interface()):
			keys = append(keys, c.path)
		}
	}
	return keys
}

// field finds the field of a key in the struct of its section.
func (n *node) field(v reflect.Value) reflect.Value {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("mapstructure") == n.key {
			return v.Field(i)
		}
	}
	panic("the schema is read off the structs") // unreachable
}
