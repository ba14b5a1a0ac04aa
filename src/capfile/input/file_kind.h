// What a file that is no capture of ours looks like, so that the error can say it.
#pragma once

#include <cstdint>
#include <span>

#include "base/language.h"

namespace tcpwhy::capfile {

struct FileKind {
  base::Text name;  // "a Solaris snoop capture (RFC 1761)"; with article
  base::Text hint;  // how to go on; may be empty
};

// `start`: the first bytes, 512 are enough.
FileKind recognise(std::span<const std::uint8_t> start);

}  // namespace tcpwhy::capfile
