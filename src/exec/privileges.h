// SPDX-License-Identifier: MIT
// Who may do what after a start: the program what its user may, the attendant what it needs.
#pragma once
#include "base/result.h"

namespace limpid {

// Can this process make sockets transparent? Tried, not asked.
[[nodiscard]] Result<> expect_transparency();

// Of a process that becomes the program: the calling user's ids and no capability, whatever limpid's file or its
// ambient set has brought. If that user is root it keeps root's: else it could not become somebody else (setpriv(1)).
[[nodiscard]] Result<> give_up_privileges();

// Of the attendant: what transparent sockets, low source ports and other users' descriptors need, as far as it has
// them.
[[nodiscard]] Result<> keep_what_attending_needs();

}  // namespace limpid
