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

}  // namespace tcpwhy::trace
