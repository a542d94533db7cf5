package offload

// The same once more, written to be read: whole packets as byte slices, sums word
// by word, nothing in place. The property tests compare.

// modelSum is the Internet checksum of RFC 1071, of big-endian words.
func modelSum(parts ...[]byte) uint16 {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	if len(all)%2 != 0 {
		all = append(all, 0)
	}
	sum := 0
	for i := 0; i < len(all); i += 2 {
		sum += int(all[i])<<8 | int(all[i+1])
		if sum > 0xffff {
			sum = sum - 0x10000 + 1
		}
	}
	return uint16(0xffff - sum)
}

func word(n int) []byte { return []byte{byte(n >> 8), byte(n)} }
func long(n int) []byte { return append(word(n>>16), word(n)...) }
func num(b []byte) (n int) {
	for _, x := range b {
		n = n<<8 | int(x)
	}
	return n
}

func concat(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// model makes the frames of a packet, or refuses it.
func model(h Header, frags [][]byte, most int) (frames [][]byte, ok bool) {
	packet := concat(frags...)
	kind := h.GSO & 0x7f
	switch {
	case h.Flags > 3, kind == 2, kind > 4, len(packet) == 0:
		return nil, false
	case h.GSO == 0:
		place := int(h.CsumStart) + int(h.CsumOffset)
		if h.Flags%2 == 1 && place <= len(frags[0])-2 {
			c := modelSum(packet[h.CsumStart:])
			if c == 0 {
				c = 0xffff
			}
			packet = concat(packet[:place], word(int(c)), packet[place+2:])
		}
		return [][]byte{packet}, true
	}
	return modelCut(kind == 3, h.GSO >= 0x80, int(h.GSOSize), frags[0], packet, most)
}

func modelCut(udp, ecn bool, size int, first, packet []byte, most int) (frames [][]byte, ok bool) {
	first = first[:min(len(first), 256)]
	ether := 14
	for len(first) >= ether && num(first[ether-2:ether]) == 0x8100 {
		ether += 4
	}
	if len(first) < ether {
		return nil, false
	}
	ip := first[ether:]
	v4 := num(first[ether-2:ether]) == 0x0800
	if !v4 && num(first[ether-2:ether]) != 0x86dd || len(ip) < 20 || !v4 && len(ip) < 40 {
		return nil, false
	}
	ipLen, proto, version := 40, ip[6], byte(6)
	if v4 {
		ipLen, proto, version = int(ip[0]%16)*4, ip[9], 4
	}
	want := byte(6)
	if udp {
		want = 17
	}
	if ip[0]/16 != version || ipLen < 20 || proto != want {
		return nil, false
	}
	l4Len := 8
	if !udp {
		if len(ip) < ipLen+20 {
			return nil, false
		}
		if l4Len = int(ip[ipLen+12]/16) * 4; l4Len < 20 {
			return nil, false
		}
	}
	all := ether + ipLen + l4Len
	if len(first) < all || most <= all || len(packet) == all {
		return nil, false
	}
	mss := most - all
	if !udp && size >= 536 && size < mss {
		mss = size
	}
	ethHdr, ipHdr, l4Hdr, payload := packet[:ether], packet[ether:ether+ipLen], packet[ether+ipLen:all], packet[all:]
	for at := 0; at < len(payload); at += mss {
		part := payload[at:min(at+mss, len(payload))]
		n := len(l4Hdr) + len(part)
		var i []byte
		pseudo := concat(ipHdr[12:20], word(0)[:1], []byte{want}, word(n))
		if v4 {
			i = concat(ipHdr[:2], word(ipLen+n), word(num(ipHdr[4:6])+at/mss), ipHdr[6:10], word(0), ipHdr[12:])
			i = concat(i[:10], word(int(modelSum(i))), i[12:])
		} else {
			i = concat(ipHdr[:4], word(n), ipHdr[6:])
			pseudo = concat(ipHdr[8:40], long(n), word(0), word(int(want)))
		}
		var l4 []byte
		if udp {
			l4 = concat(l4Hdr[:4], word(n), word(0))
			c := modelSum(pseudo, l4, part)
			if c == 0 {
				c = 0xffff
			}
			l4 = concat(l4[:6], word(int(c)))
		} else {
			flags := l4Hdr[13]
			if at+mss < len(payload) {
				flags &= 0xf6
			}
			if ecn && at > 0 {
				flags &= 0x7f
			}
			l4 = concat(l4Hdr[:4], long(num(l4Hdr[4:8])+at), l4Hdr[8:13], []byte{flags}, l4Hdr[14:16], word(0), l4Hdr[18:])
			l4 = concat(l4[:16], word(int(modelSum(pseudo, l4, part))), l4[18:])
		}
		frames = append(frames, concat(ethHdr, i, l4, part))
	}
	return frames, true
}
