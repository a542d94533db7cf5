#include "textflag.h"

// Offsets of Go 1.26, linux/amd64 (runtime2.go); those of another release stand in the DWARF of any program.
#define g_m		48
#define m_curg		184
#define m_p		208
#define p_status	4
#define p_schedtick	16
#define p_m		48

// Of sched.
#define sched_g		0
#define sched_m		8
#define sched_curg	16
#define sched_p		24
#define sched_pm	32
#define sched_status	40
#define sched_tick	44

// func readSchedTo(s *sched)
TEXT ·readSchedTo(SB), NOSPLIT, $0-8
	MOVQ	s+0(FP), DI
	MOVQ	(TLS), AX
	MOVQ	AX, sched_g(DI)
	MOVQ	g_m(AX), BX
	MOVQ	BX, sched_m(DI)
	MOVQ	m_curg(BX), CX
	MOVQ	CX, sched_curg(DI)
	MOVQ	m_p(BX), DX
	MOVQ	DX, sched_p(DI)
	MOVQ	p_m(DX), CX
	MOVQ	CX, sched_pm(DI)
	MOVL	p_status(DX), CX
	MOVL	CX, sched_status(DI)
	MOVL	p_schedtick(DX), CX
	MOVL	CX, sched_tick(DI)
	RET

// func renewSlice()
//
// A thread is not stopped inside of a function in assembly, so that the processor stays its own from the first line to the last; and
// nobody but its owner writes the counter.
TEXT ·renewSlice(SB), NOSPLIT, $0-0
	MOVQ	(TLS), AX
	MOVQ	g_m(AX), AX
	MOVQ	m_p(AX), AX
	INCL	p_schedtick(AX)
	RET
