/* names: replays the vectors of port names (netmap/name/testdata/names.txt says what they are) from its input on nm_open's
 * parser and on libnetmap's, and prints them as they came out. */
#define NETMAP_WITH_LIBS
#include <libnetmap.h>

static void quiet(struct nmctx *ctx, const char *msg)
{
	(void)ctx;
	if (strncmp(msg, "port name \"", 11) != 0 && strncmp(msg, "option ", 7) != 0 && strncmp(msg, "unknown option", 14) != 0)
		printf("unexpected message: %s\n", msg);
}

static const char *name_of(int err)
{
	return err == EINVAL ? "EINVAL" : err == EOPNOTSUPP ? "EOPNOTSUPP" : err == 0 ? "0" : strerror(err);
}

static void old_name(const char *spec)
{
	struct nm_desc d = {0};

	if (nm_parse(spec, &d, d.msg) < 0)
		printf("%s\n", name_of(errno));
	else
		printf("ok \"%s\" %u %u %#x %u\n", d.req.nr_name, d.req.nr_flags & NR_REG_MASK, d.req.nr_ringid,
		       d.req.nr_flags & ~(uint32_t)NR_REG_MASK, d.req.nr_arg2);
}

static void new_name(const char *spec)
{
	static char cut[4096];
	struct nmport_d *d = nmport_new();
	/* What these two ask of the daemon and the file system is not in the vectors. */
	const char *at = strstr(spec, "@share=netmap:");
	at = at ? at : strstr(spec, "@extmem=f");
	snprintf(cut, sizeof cut, "%.*s", at ? (int)(at - spec) : (int)strlen(spec), spec);

	if (nmport_parse(d, cut) < 0)
		printf("%s\n", name_of(errno));
	else
		printf("ok \"%s\" %u %u %#lx %u\n", d->hdr.nr_name, d->reg.nr_mode, d->reg.nr_ringid,
		       (unsigned long)d->reg.nr_flags, d->reg.nr_mem_id);
	nmport_close(d);
}

int main(void)
{
	static char line[4096];

	nmctx_get()->error = quiet;
	while (fgets(line, sizeof line, stdin)) {
		char *spec = strchr(line, '"'), *end = spec ? strchr(spec + 1, '"') : NULL;
		if (line[0] == '#' || !end)
			continue;
		*end = 0;
		printf("%.4s\"%s\" ", line, spec + 1);
		if (line[0] == 'o')
			old_name(spec + 1);
		else
			new_name(spec + 1);
	}
	return 0;
}
