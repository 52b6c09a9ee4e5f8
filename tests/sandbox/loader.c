/* SPDX-License-Identifier: MIT */
/*
 * loader.c - runs a program that was built as a module, with all its libraries.
 *
 * usage: sandbox-loader MODULE [ARGUMENT...]
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	void *module = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	int (*run)(int, char **) = NULL;

	if (module)
		*(void **)&run = dlsym(module, "main");
	if (!run)
		return fprintf(stderr, "sandbox-loader: %s\n", dlerror()), 2;
	return run(argc - 1, argv + 1);
}
