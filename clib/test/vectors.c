/*
 * vectors: replays sync test vectors (ring/testdata/sync.txt says what they are)
 * from its input on the library's sync, and prints them as they came out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/sync.h"

enum { MAX_SLOTS = 64, LINE = 512, BUFS = 40, BUF_SIZE = 2048 };

static struct {
	struct nmd_ring_hdr hdr;
	struct nmd_slot slot[MAX_SLOTS];
} ring;
static struct nmd_sync_block blk;

/* The other end of a pipe. */
static struct {
	struct nmd_ring_hdr hdr;
	struct nmd_slot slot[MAX_SLOTS];
} other;
static struct nmd_sync_block other_blk;

static union {
	char bytes[BUFS * BUF_SIZE];
	uint64_t words[BUFS * BUF_SIZE / 8];
} bufs;

static const char *outcome(unsigned out)
{
	static char text[64];

	snprintf(text, sizeof text, "%s%s%s%s%s", out & NMD_SKIPPED ? "skipped+" : "", out & NMD_BAD ? "bad+" : "",
		 out & NMD_GONE ? "stopped+" : "", out & NMD_KICK ? "kick+" : "",
		 out & NMD_WAKE ? "wake+" : "");
	if (!*text)
		return "ok";
	text[strlen(text) - 1] = 0;
	return text;
}

/* run does one line; false if it is none. */
static int run(char *line)
{
	char dir[4];
	uint32_t n, v[14], idx, len;
	int used = 0;

	if (sscanf(line,
		   "%3s %" SCNu32 " ring %" SCNu32 " %" SCNu32 " %" SCNu32 " lib %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32
		   " client %" SCNu32 " %" SCNu32 " daemon %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32 " slot %" SCNu32
		   " %" SCNu32 "%n",
		   dir, &n, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11], &v[12], &idx,
		   &len, &used) != 17 ||
	    n < 2 || n > MAX_SLOTS)
		return 0;
	struct nmd_ring r = {
		.hdr = &ring.hdr,
		.user = &ring.hdr.user,
		.blk = &blk,
		.slots = n,
		.dir = strcmp(dir, "tx") == 0 ? NMD_DIR_TX : NMD_DIR_RX,
		.session = 7,
		.buf_count = 100,
		.buf_size = 2048,
	};
	for (uint32_t i = 0; i < MAX_SLOTS; i++)
		ring.slot[i].word = 2 + i;
	ring.slot[0].word = idx | (uint64_t)len << 32;
	ring.hdr.head = v[0];
	ring.hdr.cur = v[1];
	ring.hdr.tail = v[2];
	blk.rhead = v[3];
	blk.rcur = v[4];
	blk.rtail = v[5];
	blk.busy = v[6];
	blk.user = v[7] | (uint64_t)v[8] << 32;
	blk.core = v[9] | (uint64_t)v[10] << 32;
	blk.state = v[11];
	blk.kern_need_kick = v[12];
	unsigned out = nmd_sync(&r);
	printf("%.*s => %s ring %u %u %u lib %u %u %u %u client %u %u slot %u %u\n", used, line, outcome(out), ring.hdr.head,
	       ring.hdr.cur, ring.hdr.tail, blk.rhead, blk.rcur, blk.rtail, blk.busy, (uint32_t)blk.user,
	       (uint32_t)(blk.user >> 32), (uint32_t)ring.slot[0].word, (uint32_t)(ring.slot[0].word >> 32 & 0xffff));
	return 1;
}

/* sum is FNV-1a of the slots of a ring. */
static uint64_t sum(const struct nmd_slot *slot, uint32_t n)
{
	uint64_t h = 14695981039346656037u;

	for (uint32_t i = 0; i < n; i++) {
		h = (h ^ slot[i].word) * 1099511628211u;
		h = (h ^ slot[i].ptr) * 1099511628211u;
	}
	return h;
}

/* sum_bufs is FNV-1a of the buffers that slots of a ring of n name. */
static uint64_t sum_bufs(uint32_t n)
{
	uint64_t h = 14695981039346656037u;

	for (uint32_t i = 2 * BUF_SIZE / 8; i < (2 + n) * BUF_SIZE / 8; i++)
		h = (h ^ bufs.words[i]) * 1099511628211u;
	return h;
}

/* run_pipe does one line of ring/testdata/pipe.txt; false if it is none. */
static int run_pipe(char *line)
{
	char dir[4];
	uint32_t n, v[13], max;
	uint64_t from, mask;
	int used = 0;

	if (sscanf(line,
		   "pipe %3s %" SCNu32 " ring %" SCNu32 " %" SCNu32 " %" SCNu32 " lib %" SCNu32 " %" SCNu32 " %" SCNu32
		   " own %" SCNu32 " %" SCNu32 " other %" SCNu32 " %" SCNu32 " mark %" SCNu32 " slots %" SCNu32 " %" SCNu32
		   " offsets %" SCNu64 " %" SCNu64 " %" SCNu32 "%n",
		   dir, &n, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11], &v[12],
		   &from, &mask, &max, &used) != 18 ||
	    n < 2 || n > 32)
		return 0;
	struct nmd_ring r = {
		.hdr = &ring.hdr,
		.user = &ring.hdr.user,
		.blk = &blk,
		.slots = n,
		.dir = strcmp(dir, "tx") == 0 ? NMD_DIR_TX : NMD_DIR_RX,
		.session = 7,
		.buf_count = BUFS,
		.buf_size = BUF_SIZE,
		.bufs = bufs.bytes,
		.peer = &other.hdr,
		.peer_blk = &other_blk,
	};
	for (uint32_t i = 0; i < n; i++) {
		uint64_t flags = (v[11] >> i & 1) * NMD_NS_MOREFRAG | (v[12] >> i & 1) * NMD_NS_BUF_CHANGED;
		ring.slot[i].word = (2 + i) | (uint64_t)60 << 32 | flags << 48;
		ring.slot[i].ptr = 1000 + i;
		other.slot[i].word = 50 + i;
		other.slot[i].ptr = mask ? 290 * i : 0;
	}
	if (mask)
		for (uint32_t i = 0; i < sizeof bufs.words / 8; i++)
			bufs.words[i] = i * 0x9e3779b97f4a7c15u;
	ring.hdr.offset_mask = from;
	blk.peer_mask = mask;
	blk.peer_max = max;
	ring.hdr.head = v[0];
	ring.hdr.cur = v[1];
	ring.hdr.tail = v[2];
	blk.rhead = v[3];
	blk.rcur = v[4];
	blk.rtail = v[5];
	blk.busy = 0;
	other_blk.core = v[6] | (uint64_t)v[7] << 32;
	blk.core = v[8] | (uint64_t)v[9] << 32;
	blk.state = NMD_DIRECT;
	other_blk.appl_need_kick = v[10];
	unsigned out = nmd_sync(&r);
	printf("%.*s => %s ring %u %u %u lib %u %u %u own %u %u mark %u sums %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", used, line, outcome(out),
	       ring.hdr.head, ring.hdr.cur, ring.hdr.tail, blk.rhead, blk.rcur, blk.rtail, (uint32_t)other_blk.core,
	       (uint32_t)(other_blk.core >> 32), other_blk.appl_need_kick, sum(ring.slot, n), sum(other.slot, n), mask ? sum_bufs(n) : 0);
	return 1;
}

int main(void)
{
	char line[LINE];

	while (fgets(line, sizeof line, stdin)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (!run_pipe(line) && !run(line)) {
			fprintf(stderr, "not a vector: %s", line);
			return 1;
		}
	}
	return 0;
}
