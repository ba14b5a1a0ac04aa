// What holds for every recording that was read, whatever its file says: see recording_io.h.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "recording/recording.h"

namespace tcpwhy::capfile {

// A recording as its file has it: ids and call numbers not checked.
struct UncheckedRecording {
  recording::Recording recording;
  std::vector<std::optional<std::uint64_t>> ids;  // of each event, where the file states one
  std::uint64_t broken_rows = 0;                  // left out already
};

recording::Recording checked(UncheckedRecording unchecked);

}  // namespace tcpwhy::capfile
