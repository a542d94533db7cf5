#include "go_asm.h"
#include "textflag.h"
#include "copy_amd64.h"

// func copyFrames(slots *abi.Slot, n uint64, list *uint16, b *Batch, base unsafe.Pointer, size, num uint64) (done, bytes uint64)
//
// AX slots left        R8  index of the receiver's buffer, then its address
// BX slot              R9  length of the frame
// SI place in list     R10 fragment, then address of the frame
// DI batch             R11 index of the buffer to prefetch
// R12 base  R13 size   R14 is Go's
// R15 buffers - 2      DX  bytes
// CX the slot's word
TEXT ·copyFrames(SB), NOSPLIT, $16-72
	MOVQ slots+0(FP), BX
	MOVQ n+8(FP), AX
	MOVQ list+16(FP), SI
	MOVQ b+24(FP), DI
	MOVQ base+32(FP), R12
	MOVQ size+40(FP), R13
	MOVQ num+48(FP), R15
	SUBQ $2, R15 // abi.MinBufIndex
	XORL DX, DX

	TESTQ AX, AX
	JE   done

loop:
	CMPQ AX, $8
	JBE  nofetch
	MOVL 128(BX), R11
#ifndef const_trusting
	CMPQ R11, num+48(FP)
	JAE  nofetch
#endif
	IMULQ R13, R11
	BYTE $0x43; BYTE $0x0F; BYTE $0x0D; BYTE $0x0C; BYTE $0x1C // PREFETCHW (R12)(R11*1)

nofetch:
	MOVWLZX (SI), R10
	ANDL    $(const_MaxBatch-1), R10
	SHLQ    $4, R10 // Frag__size is 16
	MOVWLZX (Batch_Frags+Frag_Len)(DI)(R10*1), R9
	MOVQ    (Batch_Frags+Frag_Off)(DI)(R10*1), R10
	ADDQ    Batch_Base(DI), R10

	// The index is loaded once: the receiver may be writing it.
	MOVL (BX), R8
#ifndef const_trusting
	LEAL -2(R8), CX
	CMPL CX, R15
	JAE  done
#endif
	CMPL R9, $16
	JB   done
	CMPQ R9, R13
	JA   done

	// The slot's new word: index, length, one slot.
	MOVQ R9, CX
	SHLQ $32, CX
	ORQ  R8, CX
	BTSQ $56, CX
	IMULQ R13, R8
	ADDQ R12, R8

	CMPL R9, $128
	JA   longer
	CMPL R9, $64
	JA   long
	CMPL R9, $32
	JB   short
	COPY_32_TO_64

next:
	MOVQ CX, (BX)

copied:
	ADDQ R9, DX
	ADDQ $2, SI
	ADDQ $16, BX
	DECQ AX
	JNE  loop

done:
	MOVQ n+8(FP), CX
	SUBQ AX, CX
	MOVQ CX, done+56(FP)
	MOVQ DX, bytes+64(FP)
	RET

short:
	COPY_16_TO_31
	JMP    next

long:
	LOAD_FIRST_64
	LOAD_LAST_64
	STORE_FIRST_64
	MOVUPS X4, -64(R8)(R9*1)
	MOVUPS X5, -48(R8)(R9*1)
	MOVUPS X6, -32(R8)(R9*1)
	MOVUPS X7, -16(R8)(R9*1)
	JMP    next

// Line by line, and each time a line is asked for of where the frame after the next one comes from, and of where it goes.
longer:
	MOVQ CX, (BX)                // here, which frees a register: nobody sees it before it is published
	MOVQ R9, length-8(SP)
	LEAQ -64(R8)(R9*1), CX
	MOVQ CX, last-16(SP)
	LOAD_LAST_64

	MOVQ R8, R11                 // the destination to ask for; without one, this
	MOVQ R10, CX                 // the source
	CMPQ AX, $2
	JBE  lines
	MOVWLZX 4(SI), CX
	ANDL    $(const_MaxBatch-1), CX
	SHLQ    $4, CX
	MOVQ    (Batch_Frags+Frag_Off)(DI)(CX*1), CX
	ADDQ    Batch_Base(DI), CX
	MOVL    32(BX), R11
#ifndef const_trusting
	CMPQ R11, num+48(FP)
	JAE  nobuf
#endif
	IMULQ R13, R11
	ADDQ  R12, R11

lines:
	SUBQ $64, R9

line:
	COPY_LINE(CX)
	JHI  line

	MOVQ last-16(SP), R8
	STORE_LAST_64(R8)
	MOVQ length-8(SP), R9
	JMP  copied

nobuf:
	MOVQ R8, R11
	JMP  lines
