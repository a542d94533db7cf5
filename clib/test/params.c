/* params: module parameters as files (NC A.10, A.11, E.14). "absent": there is no daemon. */
#include "port.h"

#define DIR "/sys/module/netmap/parameters/"

static long value(const char *name)
{
	char path[128], text[64];

	snprintf(path, sizeof path, DIR "%s", name);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0, "%s", path);
	ssize_t n = read(fd, text, sizeof text - 1);
	CHECK(n > 1 && text[n - 1] == '\n', "%s", name);
	text[n] = 0;
	CHECK(read(fd, text + n, 1) == 0 && close(fd) == 0);
	return strtol(text, NULL, 0);
}

/* store writes text as a program does: 0 or the errno of the close. */
static int store(const char *name, const char *text, int flags)
{
	char path[128];

	snprintf(path, sizeof path, DIR "%s", name);
	int fd = open(path, flags, 0644);
	CHECK(fd >= 0, "%s", path);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	errno = 0;
	return close(fd) == 0 ? 0 : errno;
}

static void refused(void)
{
	CHECK(open(DIR "no_such", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(open(DIR, O_RDONLY) == -1 && errno == ENOENT);
	CHECK(open(DIR "if_curr_num", O_RDWR) == -1 && errno == EACCES);
	CHECK(open(DIR "max_bridges", O_WRONLY | O_TRUNC) == -1 && errno == EACCES);
	CHECK(fopen(DIR "max_bridges", "w") == NULL && errno == EACCES);
	CHECK(access(DIR "if_curr_num", R_OK) == 0 && access(DIR "if_num", R_OK | W_OK) == 0);
	CHECK(access(DIR "if_curr_num", W_OK) == -1 && errno == EACCES);
	CHECK(access(DIR "no_such", F_OK) == -1 && errno == ENOENT);
	long was = value("verbose");
	const char *bad[] = {"x", "\n", "5 6", "-2147483649", "1_0", "1\n\n"};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(store("verbose", bad[i], O_WRONLY) == EINVAL, "\"%s\"", bad[i]);
	char big[2000];
	memset(big, '1', sizeof big - 1), big[sizeof big - 1] = 0;
	CHECK(store("verbose", big, O_WRONLY) == EINVAL && store("buf_num", "-1", O_WRONLY) == EINVAL);
	CHECK(value("verbose") == was);
}

static void written(void)
{
	CHECK(store("fwd", "1\n", O_WRONLY | O_TRUNC) == 0 && value("fwd") == 1);
	CHECK(store("fwd", "0", O_RDWR | O_CREAT) == 0 && value("fwd") == 0);
	CHECK(store("generic_mit", "0x10\n", O_WRONLY) == 0 && value("generic_mit") == 16);
	CHECK(store("generic_mit", "1\n2\n", O_WRONLY) == 0 && value("generic_mit") == 2);
	CHECK(store("generic_mit", "", O_WRONLY) == 0 && value("generic_mit") == 2);
	CHECK(store("verbose", "-1", O_WRONLY) == 0 && value("verbose") == -1);

	/* As programs do that change one and put it back. */
	long old;
	FILE *f = fopen(DIR "default_pipes", "r+");
	CHECK(f && fscanf(f, "%ld", &old) == 1 && old == 0);
	rewind(f);
	CHECK(fprintf(f, "%d\n", 7) == 2 && fclose(f) == 0 && value("default_pipes") == 7);
	CHECK((f = fopen(DIR "default_pipes", "we")) && fputs("8", f) >= 0 && fclose(f) == 0 && value("default_pipes") == 8);
	CHECK((f = fopen(DIR "default_pipes", "w")) && fputs("no", f) >= 0 && fclose(f) == EOF && errno == EINVAL);
	CHECK((f = fopen(DIR "default_pipes", "r")) && fscanf(f, "%ld", &old) == 1 && old == 8 && fclose(f) == 0);

	/* Duplicates, and more than one value through one of them. */
	int fd = open(DIR "admode", O_WRONLY), copy = dup(fd);
	CHECK(fd >= 0 && copy >= 0 && close(fd) == 0 && write(copy, "1", 1) == 1);
	CHECK(dup2(STDERR_FILENO, copy) == copy && value("admode") == 1);
	fd = open(DIR "admode", O_WRONLY), copy = dup(fd);
	CHECK(write(fd, "2", 1) == 1 && close(fd) == 0 && value("admode") == 2);
	CHECK(write(copy, "0", 1) == 1 && close_range((unsigned)copy, (unsigned)copy, 0) == 0 && value("admode") == 0);
}

/* others: descriptors that programs get from their shell, and children. */
static void others(void)
{
	const char *const lines[] = {
		"echo 11 > " DIR "verbose",
		"/bin/echo 12 > " DIR "verbose", /* after an exec */
		"bash -c 'echo 13 > " DIR "verbose'", /* not through functions that could be wrapped */
		"echo 14 | tee " DIR "verbose > /dev/null",
		"test $(cat " DIR "verbose) = 14 && (/bin/printf 15) > " DIR "verbose",
		"(echo 16) > " DIR "verbose", /* a shell that ends by _exit */
	};
	for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++)
		CHECK(system(lines[i]) == 0 && value("verbose") == 11 + (long)i, "%s: %ld", lines[i], value("verbose"));
	CHECK(system("echo x > " DIR "verbose") >= 0 && value("verbose") == 16);

	int fd = open(DIR "verbose", O_WRONLY);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(write(fd, "20", 2) == 2);
		exit(0); /* without closing it */
	}
	join_child(pid);
	CHECK(value("verbose") == 20 && store("verbose", "21", O_WRONLY) == 0);
	CHECK(close(fd) == 0 && value("verbose") == 21, "sent again");
}

static struct nmreq_pools_info pools(const char *name, uint16_t mem)
{
	struct nmreq_pools_info info = {.nr_mem_id = mem};
	int fd = open("/dev/netmap", O_RDWR);

	CHECK(request(fd, NETMAP_REQ_POOLS_INFO_GET, name, &info) == 0);
	close(fd);
	return info;
}

static void effects(void)
{
	long rings = value("priv_ring_num"), bufs = value("priv_buf_num"), ifs = value("if_num");

	CHECK(store("priv_ring_num", "64", O_WRONLY) == 0 && store("priv_buf_num", "30000", O_WRONLY) == 0);
	struct port p = open_port("vale8:a", 0);
	struct nmreq_pools_info info = pools("vale8:a", 0);
	CHECK(info.nr_ring_pool_objtotal == 64 && info.nr_buf_pool_objtotal == 30000, "%u rings, %u buffers",
	      info.nr_ring_pool_objtotal, info.nr_buf_pool_objtotal);
	close_port(&p);
	char text[32];
	snprintf(text, sizeof text, "%ld", rings), store("priv_ring_num", text, O_WRONLY);
	snprintf(text, sizeof text, "%ld", bufs), store("priv_buf_num", text, O_WRONLY);
	p = open_port("vale8:a", 0);
	CHECK(pools("vale8:a", 0).nr_ring_pool_objtotal == 20, "A.10");
	close_port(&p);

	/* The global region changes when nobody uses it. */
	CHECK(store("if_num", "200", O_WRONLY) == 0);
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_mem_id = 1};
	int fd = open("/dev/netmap", O_RDWR);
	CHECK(request(fd, NETMAP_REQ_REGISTER, "vale8:g", &reg) == 0 && reg.nr_mem_id == 1);
	CHECK(value("if_curr_num") == 200 && pools("vale8:g", 1).nr_if_pool_objtotal == 200);
	CHECK(store("if_num", "400", O_WRONLY) == 0);
	CHECK(value("if_num") == 400 && value("if_curr_num") == 200 && pools("vale8:g", 1).nr_if_pool_objtotal == 200);
	close(fd);
	fd = open("/dev/netmap", O_RDWR);
	CHECK(request(fd, NETMAP_REQ_REGISTER, "vale8:g", &reg) == 0);
	CHECK(value("if_curr_num") == 400 && pools("vale8:g", 1).nr_if_pool_objtotal == 400);
	close(fd);
	CHECK(store("if_num", "20000", O_WRONLY) == 0); /* no pool can be like that */
	fd = open("/dev/netmap", O_RDWR);
	reg = (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC, .nr_mem_id = 1};
	CHECK(request(fd, NETMAP_REQ_REGISTER, "vale8:g", &reg) == -1 && (errno == ENOMEM || errno == EINVAL));
	snprintf(text, sizeof text, "%ld", ifs), store("if_num", text, O_WRONLY);
	CHECK(request(fd, NETMAP_REQ_REGISTER, "vale8:g", &reg) == 0 && value("if_curr_num") == (ifs + 3) / 4 * 4);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "absent") == 0) {
		CHECK(open(DIR "if_num", O_RDONLY) == -1 && errno == ENOENT);
		CHECK(fopen(DIR "if_num", "r") == NULL && errno == ENOENT);
		return 0;
	}
	/* A program that has closed its input gets that number. */
	CHECK(close(STDIN_FILENO) == 0 && open(DIR "if_num", O_RDWR) == STDIN_FILENO && close(STDIN_FILENO) == 0);
	CHECK(open("/dev/null", O_RDONLY) == STDIN_FILENO);
	refused();
	written();
	others();
	effects();
	return 0;
}
