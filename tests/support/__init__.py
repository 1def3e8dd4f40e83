# SPDX-License-Identifier: MIT
# What the system tests stand on: namespaces, a lab of three of them, the real binary, traffic.
