/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the help that is made of it. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

const struct command commands[] = {
	{"load", cmd_load, "SOURCE|-",
	 "Take in the images of an OCI layout or an archive (-: standard input)", "Images"},
	{"pull", cmd_pull, "REF", "Take in an image from a registry", "Images"},
	{"push", cmd_push, "IMAGE [REF]", "Give an image to a registry", "Images"},
	{"import", cmd_import, "TAR|- REF",
	 "Make an image from the tar of a root filesystem (-: standard input)", "Images"},
	{"build", cmd_build, "CONTEXT|-",
	 "Make an image as a Dockerfile says (-: a tar, or a Dockerfile, from standard input)",
	 "Images"},
	{"images", cmd_images, "", "List the images", "Images"},
	{"history", cmd_history, "IMAGE", "Show how an image was made, the newest step first",
	 "Images"},
	{"inspect", cmd_inspect, "IMAGE|NAME...", "Show all that is known of images or containers",
	 "Images"},
	{"save", cmd_save, "IMAGE...",
	 "Write images to an archive or an OCI layout (standard output without -o)", "Images"},
	{"tag", cmd_tag, "IMAGE REF", "Give an image one more name", "Images"},
	{"rmi", cmd_rmi, "IMAGE...", "Take names from images, and remove images without one",
	 "Images"},
	{"create", cmd_create, "IMAGE [-- COMMAND...]",
	 "Make a container and print the path of its root filesystem", "Containers"},
	{"mount", cmd_mount, "NAME", "Mount a container's root filesystem and print its path",
	 "Containers"},
	{"umount", cmd_umount, "NAME...", "Unmount root filesystems of containers", "Containers"},
	{"ls", cmd_ls, "[NAME...]", "List the containers", "Containers"},
	{"rm", cmd_rm, "NAME...", "Remove containers and what was written in them", "Containers"},
	{"diff", cmd_diff, "NAME", "List what has been added, changed and deleted in a container",
	 "Containers"},
	{"export", cmd_export, "NAME", "Write all files of a container as a tar", "Containers"},
	{"commit", cmd_commit, "NAME REF", "Make an image of a container", "Containers"},
	{"df", cmd_df, "", "Show how much space the store takes, and what for", "Store"},
	{"gc", cmd_gc, "", "Remove layers, blobs and files that nothing needs", "Store"},
	{"check", cmd_check, "", "Look for damage in the store, and repair it", "Store"},
	{"info", cmd_info, "", "Describe the store and what this machine can do", "Store"},
	{"bench", cmd_bench, "SOURCE",
	 "Measure how fast an image is set up on different filesystems", "Store"},
	{"help", cmd_help, "[COMMAND]", "Show the commands, or the options of one", "Help"},
	{0},
};

const struct command *command_find(const char *name)
{
	for (const struct command *command = commands; command->name; command++) {
		if (!strcmp(command->name, name))
			return command;
	}
	return NULL;
}

void commands_print(void)
{
	const char *group = "";

	puts("Usage: snapdrv [OPTION]... COMMAND [ARGUMENT]...\n"
	     "Keeps container images and turns them into root filesystems.");
	for (const struct command *command = commands; command->name; command++) {
		if (strcmp(group, command->group))
			printf("\n%s:\n", command->group);
		group = command->group;
		printf("  %-10s %s\n", command->name, command->help);
	}
	puts("\nOptions:");
	options_print(options_global, NULL);
	puts("\n'snapdrv help COMMAND' shows the options of a command.");
}

void cmd_help(struct cli *cli)
{
	const struct command *command;

	if (cli_parse(cli, NULL, NULL, WORDS_JOINED, 0, 1))
		return;
	if (!cli->n_words) {
		commands_print();
		return;
	}
	command = command_find(cli->words[0]);
	if (!command) {
		cli_usage(cli, "'%s': no such command", cli->words[0]);
		return;
	}
	cli->command = command;
	cli->help = 1;
	command->run(cli);
}
