// SPDX-License-Identifier: MIT
// Boost.JSON, compiled once: Debian has it as headers and as a library; this is the header's own way.
#include <boost/json/src.hpp>
