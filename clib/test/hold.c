/* hold PORT: opens it exclusively, says so, and waits to be killed. */
#include "port.h"

int main(int argc, char **argv)
{
	struct port p = open_port(argc > 1 ? argv[1] : "vale1:h", NR_EXCLUSIVE);

	CHECK(p.tx != NULL);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
