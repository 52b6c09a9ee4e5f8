/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <peal/peal.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

static struct peal_poller *poller;

static void on_alarm(int signal)
{
	int saved = errno;

	(void)signal;
	peal_poller_wake(poller);
	errno = saved;
}

/* Prints "woken by the handler". A handler ends the wait of a poller
 * that has nothing else to wait for. */
int main(void)
{
	struct itimerval soon = {.it_value = {.tv_usec = 10000}};
	struct peal_event event;

	if (peal_poller_create(&poller, NULL) < 0)
		return puts(peal_last_error()), 1;
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &soon, NULL);
	if (peal_poller_wait(poller, &event, 1, PEAL_FOREVER) ==
		    1 &&
	    event.kind == PEAL_EVENT_WAKE)
		puts("woken by the handler");
	peal_poller_close(poller);
	return 0;
}
