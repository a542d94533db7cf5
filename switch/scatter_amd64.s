#include "go_asm.h"
#include "textflag.h"
#include "copy_amd64.h"

// func aim(c *course, n uint64)
//
// SI run      CX places left  R12 its target  R13 its group  R14 is Go's
// DX frame    AX frames left  R15 batch
// DI course   BX place
// R8 fragment, then scratch   R9 length  R10 slot  R11 index, then address of the buffer
TEXT ·aim(SB), NOSPLIT, $0-16
	MOVQ c+0(FP), DI
	MOVQ n+8(FP), CX
	MOVQ course_run(DI), SI
	MOVQ course_frame(DI), DX
	MOVQ course_left(DI), AX
	MOVQ course_place(DI), BX
	MOVQ course_batch(DI), R15
	TESTQ AX, AX
	JNE  target
	JMP  next

last:
	ADDQ $run__size, SI
	XORL AX, AX

next:
	CMPQ SI, course_end(DI)
	JEQ  done
	MOVWLZX run_from(SI), DX
	MOVWLZX run_n(SI), AX
	SHLQ    $1, DX
	ADDQ    course_frames(DI), DX

target:
	MOVWLZX run_group(SI), R13
	MOVQ    R13, R12
	SHLQ    $6, R12 // target__size is 64
	ADDQ    course_targets(DI), R12

frame:
	MOVL  target_left(R12), R8
	TESTL R8, R8
	JE    last // what is left of the run has no room
	DECL  R8
	MOVL  R8, target_left(R12)
	MOVQ  target_slot(R12), R10
	LEAQ  16(R10), R11 // abi.SlotSize
	CMPQ  R11, target_end(R12)
	JEQ   wrap

advanced:
	MOVQ R11, target_slot(R12)
	MOVL (R10), R11 // once: the receiver may be writing it
	MOVQ R10, place_slot(BX)
	MOVL R11, place_idx(BX)
	MOVWLZX (DX), R8
	ANDL $(const_MaxBatch-1), R8
	MOVW R8, place_frag(BX)
	MOVW R13, place_group(BX)
	SHLQ $4, R8 // Frag__size is 16
	MOVWLZX (Batch_Frags+Frag_Len)(R15)(R8*1), R9
	CMPL R9, $16
	JB   bad
	CMPL R9, target_size(R12)
	JA   bad
#ifndef const_trusting
	LEAL -2(R11), R8 // abi.MinBufIndex
	CMPL R8, target_bufs(R12)
	JAE  bad
#endif
	MOVL  target_size(R12), R8
	IMULQ R8, R11
	ADDQ  target_base(R12), R11
	BYTE  $0x41; BYTE $0x0F; BYTE $0x0D; BYTE $0x0B // PREFETCHW (R11)
	MOVQ  R11, place_buf(BX)
	ADDQ  R9, target_bytes(R12)

placed:
	ADDQ $place__size, BX
	ADDQ $2, DX
	DECQ AX
	JE   endrun
	DECQ CX
	JNE  frame

done:
	MOVQ SI, course_run(DI)
	MOVQ DX, course_frame(DI)
	MOVQ AX, course_left(DI)
	MOVQ BX, course_place(DI)
	RET

endrun:
	ADDQ $run__size, SI
	DECQ CX
	JNE  next
	JMP  done

wrap:
	MOVL target_whole(R12), R8
	SUBQ R8, R11
	JMP  advanced

bad:
	MOVQ $0, place_buf(BX)
	JMP  placed

// func copyPlaces(c *course, limit uintptr)
//
// SI place  CX limit  DI batch  BX slot  DX its word  R12 course
// R8 buffer  R9 length  R10 frame  R11 and AX what to ask for
TEXT ·copyPlaces(SB), NOSPLIT, $0-16
	MOVQ c+0(FP), R12
	MOVQ limit+8(FP), CX
	MOVQ course_copied(R12), SI
	MOVQ course_batch(R12), DI
	CMPQ SI, CX
	JEQ  done

loop:
	MOVQ  place_buf(SI), R8
	TESTQ R8, R8
	JE    done
	MOVWLZX place_frag(SI), R10
	SHLQ $4, R10 // Frag__size is 16
	MOVWLZX (Batch_Frags+Frag_Len)(DI)(R10*1), R9
	MOVQ (Batch_Frags+Frag_Off)(DI)(R10*1), R10
	ADDQ Batch_Base(DI), R10

	// The slot's new word: index, length, one slot.
	MOVL place_idx(SI), AX
	MOVQ place_slot(SI), BX
	MOVQ R9, DX
	SHLQ $32, DX
	ORQ  AX, DX
	BTSQ $56, DX
	MOVQ DX, (BX)

	CMPL R9, $64
	JA   long
	CMPL R9, $32
	JB   short
	COPY_32_TO_64

copied:
	ADDQ $place__size, SI
	CMPQ SI, CX
	JNE  loop

done:
	MOVQ SI, course_copied(R12)
	RET

short:
	COPY_16_TO_31
	JMP    copied

// Line by line, and each time a line is asked for of where the frame after the next one comes from, and of where it goes. Behind the
// last place stand those of earlier batches: asking does no harm.
long:
	LOAD_LAST_64
	LEAQ -64(R8)(R9*1), BX
	MOVQ (2*place__size+place_buf)(SI), R11
	MOVWLZX (2*place__size+place_frag)(SI), AX
	SHLQ $4, AX
	MOVQ (Batch_Frags+Frag_Off)(DI)(AX*1), AX
	ADDQ Batch_Base(DI), AX
	SUBQ $64, R9

line:
	COPY_LINE(AX)
	JHI  line

	STORE_LAST_64(BX)
	JMP  copied
