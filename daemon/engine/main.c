/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options, then one of: run, check, thaw. */
int main(void)
{
	return 0;
}
