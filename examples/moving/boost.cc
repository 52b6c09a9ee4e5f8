/* SPDX-License-Identifier: MIT */
/* docs/moving.md: boost::lockfree::spsc_queue in shared memory. */
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdio>
#include <new>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct tick {
	int id;
	double price;
};

using ring = boost::lockfree::spsc_queue<
	tick, boost::lockfree::capacity<1024>>;

/* Both processes can write to all of it. */
static ring *make()
{
	void *memory = mmap(nullptr, sizeof(ring),
			    PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? nullptr : new (memory) ring;
}

static void put(ring &to, const tick &what)
{
	while (!to.push(what))
		sched_yield(); /* for ever, if it died */
}

static void get(ring &from, tick &what)
{
	while (!from.pop(what))
		sched_yield(); /* for ever, if it died */
}

int main()
{
	ring *shared = make();
	double sum = 0;
	tick t;

	if (!shared)
		return 1;
	if (fork() == 0) {
		for (int i = 1; i <= 100; i++)
			put(*shared, tick{i, i * 0.5});
		_exit(0);
	}
	for (int i = 0; i < 100; i++) {
		get(*shared, t);
		sum += t.price;
	}
	std::printf("%.1f\n", sum);
	wait(nullptr);
	return 0;
}
