/* SPDX-License-Identifier: Apache-2.0 */
/* The program of the README's Dockerfile. */
#include <stdio.h>

int main(void)
{
	puts("hello from " VERSION);
	return 0;
}
