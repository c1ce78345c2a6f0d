/* SPDX-License-Identifier: Apache-2.0 */
/* The empty process, whose start is taken off what a command takes. */
int main(void)
{
	return 0;
}
