package control

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/netmapd/netmapd/port"
)

// Whatever the domain knows arrives: a message made of values without a zero in
// them has no field without a value.
func TestNothingIsLostInConversion(t *testing.T) {
	var (
		info     port.Info
		sw       port.SwitchInfo
		snapshot port.Snapshot
	)
	for _, v := range []any{&info, &sw, &snapshot} {
		fill(reflect.ValueOf(v).Elem())
	}
	info.Kind = port.KindVALE
	snapshot.Lcores[0].Mode = "poll"
	for _, m := range []proto.Message{portToProto(info), switchToProto(sw), snapshotToProto(snapshot)} {
		wantComplete(t, string(m.ProtoReflect().Descriptor().Name()), m.ProtoReflect())
	}
}

// fill puts something that is not zero everywhere.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	default:
		v.SetUint(7)
	}
}

func wantComplete(t *testing.T, path string, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		here := path + "." + string(field.Name())
		switch {
		case !m.Has(field):
			t.Errorf("%s is not set", here)
		case field.Message() == nil || field.IsMap() || field.Message().ParentFile().Package() != "netmapd.v1":
		case field.IsList():
			wantComplete(t, here+"[0]", m.Get(field).List().Get(0).Message())
		default:
			wantComplete(t, here, m.Get(field).Message())
		}
	}
}
