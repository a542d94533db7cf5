#include "go_asm.h"
#include "textflag.h"

// func prefetchBufs(slots *abi.Slot, n uint64, base unsafe.Pointer, size, num uint64)
TEXT ·prefetchBufs(SB), NOSPLIT, $0-40
	MOVQ slots+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ base+16(FP), DI
	MOVQ size+24(FP), DX
	MOVQ num+32(FP), BX

loop:
	MOVL  (SI), AX // the buffer index, the high half cleared
#ifndef const_trusting
	CMPQ  AX, BX
	JAE   next
#endif
	IMULQ DX, AX
	BYTE  $0x0F; BYTE $0x0D; BYTE $0x0C; BYTE $0x07 // PREFETCHW (DI)(AX*1)

next:
	ADDQ $16, SI
	DECQ CX
	JNE  loop
	RET

// func prefetchRing(slot *abi.Slot, block *abi.SyncBlock)
TEXT ·prefetchRing(SB), NOSPLIT, $0-16
	MOVQ slot+0(FP), DI
	MOVQ block+8(FP), SI
	BYTE $0x0F; BYTE $0x0D; BYTE $0x0F             // PREFETCHW (DI)
	BYTE $0x0F; BYTE $0x0D; BYTE $0x4F; BYTE $0x30 // PREFETCHW 48(DI)
	PREFETCHT0 (SI)
	RET

// func prefetchPlaces(runs *run, n uint64, words *uint64, mask uint64)
TEXT ·prefetchPlaces(SB), NOSPLIT, $0-32
	MOVQ runs+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ words+16(FP), DI
	MOVQ mask+24(FP), DX

loop:
	MOVQ run_dstAt(SI), AX
	MOVQ run_srcAt(SI), BX
	ANDQ DX, AX
	ANDQ DX, BX
	PREFETCHT0 (DI)(AX*8)
	PREFETCHT0 (DI)(BX*8)
	ADDQ $run__size, SI
	DECQ CX
	JNE  loop
	RET
