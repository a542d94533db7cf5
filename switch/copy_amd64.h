// What copyFrames and copyPlaces share: R9 bytes go from R10 to R8.

#define LOAD_FIRST_64 \
	MOVUPS (R10), X0; \
	MOVUPS 16(R10), X1; \
	MOVUPS 32(R10), X2; \
	MOVUPS 48(R10), X3

#define STORE_FIRST_64 \
	MOVUPS X0, (R8); \
	MOVUPS X1, 16(R8); \
	MOVUPS X2, 32(R8); \
	MOVUPS X3, 48(R8)

#define LOAD_LAST_64 \
	MOVUPS -64(R10)(R9*1), X4; \
	MOVUPS -48(R10)(R9*1), X5; \
	MOVUPS -32(R10)(R9*1), X6; \
	MOVUPS -16(R10)(R9*1), X7

// COPY_16_TO_31 is for that many bytes.
#define COPY_16_TO_31 \
	MOVUPS (R10), X0; \
	MOVUPS -16(R10)(R9*1), X1; \
	MOVUPS X0, (R8); \
	MOVUPS X1, -16(R8)(R9*1)

#define COPY_32_TO_64 \
	MOVUPS (R10), X0; \
	MOVUPS 16(R10), X1; \
	MOVUPS -32(R10)(R9*1), X2; \
	MOVUPS -16(R10)(R9*1), X3; \
	MOVUPS X0, (R8); \
	MOVUPS X1, 16(R8); \
	MOVUPS X2, -32(R8)(R9*1); \
	MOVUPS X3, -16(R8)(R9*1)

// COPY_LINE copies a line, asks for another one at each of ask and R11, and moves on; R9 counts down.
#define COPY_LINE(ask) \
	LOAD_FIRST_64; \
	PREFETCHT0 (ask); \
	BYTE $0x41; BYTE $0x0F; BYTE $0x0D; BYTE $0x0B; /* PREFETCHW (R11) */ \
	STORE_FIRST_64; \
	ADDQ $64, R10; \
	ADDQ $64, R8; \
	ADDQ $64, ask; \
	ADDQ $64, R11; \
	SUBQ $64, R9

// STORE_LAST_64 stores what LOAD_LAST_64 loaded.
#define STORE_LAST_64(at) \
	MOVUPS X4, (at); \
	MOVUPS X5, 16(at); \
	MOVUPS X6, 32(at); \
	MOVUPS X7, 48(at)
