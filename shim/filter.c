/* SPDX-License-Identifier: MIT */
/* A seccomp filter as the kernel runs it: classic BPF over one struct seccomp_data. */
#include "filter.h"

#include <linux/audit.h>
#include <string.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0
#endif

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
};

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word = 0;

	if (offset <= sizeof(*data) - sizeof(word))
		memcpy(&word, (const char *)data + offset, sizeof(word));
	return word;
}

static uint32_t calculate(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	case BPF_NEG:
		return -a;
	}
	return a;
}

static bool holds(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JSET:
		return (a & b) != 0;
	}
	return false;
}

/* Loads and stores. False if it is none of them. */
static bool move(struct machine *m, const struct sock_filter *f, const struct seccomp_data *data)
{
	uint32_t *to = BPF_CLASS(f->code) == BPF_LDX ? &m->x : &m->a;

	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		m->a = load(data, f->k);
		return true;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
		*to = sizeof(*data);
		return true;
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
		*to = f->k;
		return true;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
		*to = m->memory[f->k % BPF_MEMWORDS];
		return true;
	case BPF_ST:
		m->memory[f->k % BPF_MEMWORDS] = m->a;
		return true;
	case BPF_STX:
		m->memory[f->k % BPF_MEMWORDS] = m->x;
		return true;
	case BPF_MISC | BPF_TAX:
		m->x = m->a;
		return true;
	case BPF_MISC | BPF_TXA:
		m->a = m->x;
		return true;
	}
	return false;
}

uint32_t qs_filter_run(const struct sock_fprog *filter, int nr, const uint64_t argument[6])
{
	struct seccomp_data data = {.nr = nr, .arch = OUR_ARCH};
	struct machine m = {0};

	for (int i = 0; i < 6; i++)
		data.args[i] = argument[i];
	/* Jumps lead forward only: it ends. */
	for (uint32_t at = 0; at < filter->len; at++) {
		const struct sock_filter *f = &filter->filter[at];
		uint32_t operand = BPF_SRC(f->code) == BPF_X ? m.x : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_RET:
			return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
		case BPF_ALU:
			m.a = calculate(BPF_OP(f->code), m.a, operand);
			break;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA)
				at += f->k < filter->len ? f->k : filter->len;
			else
				at += holds(BPF_OP(f->code), m.a, operand) ? f->jt : f->jf;
			break;
		default:
			if (!move(&m, f, &data))
				return SECCOMP_RET_KILL_PROCESS;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

bool qs_filter_is_deadly(const struct sock_fprog *filter, int nr, const uint64_t argument[6])
{
	switch (qs_filter_run(filter, nr, argument) & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ERRNO:
		return false;
	default:
		/* Killed, a SIGSYS, or a debugger's business. */
		return true;
	}
}
