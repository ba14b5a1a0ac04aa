// Records that the probe sends in part, as they would be whole.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>

#include "trace/bpf/program/protocol.h"

namespace tcpwhy::trace {

// Of one with its whole socket. What was left out at its end is 0. Nothing: it is cut.
inline std::optional<probe_state> whole_state(std::span<const std::byte> record) {
  if (record.size() < offsetof(probe_state, comm)) return std::nullopt;
  probe_state state{};
  std::memcpy(&state, record.data(), std::min(record.size(), sizeof state));
  return state;
}

// Without the frames that did not come.
inline std::optional<probe_reset> whole_reset(std::span<const std::byte> record) {
  if (record.size() < offsetof(probe_reset, stack)) return std::nullopt;
  probe_reset reset{};
  std::memcpy(&reset, record.data(), std::min(record.size(), sizeof reset));
  const auto came = std::min(record.size(), sizeof reset) - offsetof(probe_reset, stack);
  reset.frames = std::clamp(reset.frames, __s32{0}, static_cast<__s32>(came));
  return reset;
}

}  // namespace tcpwhy::trace
