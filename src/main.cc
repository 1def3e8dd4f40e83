// SPDX-License-Identifier: MIT
#include "cli/command_line.h"

int main(int argc, char** argv) { return limpid::run_command_line(argc, argv); }
