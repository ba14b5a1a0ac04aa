// Records that the probe sends in part, as they would be whole.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>

#include "trace/bpf/program/protocol.h"

namespace tcpwhy::trace {

// What was left out is 0. Nothing: it is cut.
inline std::optional<probe_state> whole_state(std::span<const std::byte> record) {
  probe_head head{};
  if (record.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, record.data(), sizeof head);
  const std::size_t left_out = (head.flags & PROBE_BRIEF) != 0 ? PROBE_BRIEF_SAVES : 0;
  if (record.size() + left_out < offsetof(probe_state, comm)) return std::nullopt;
  probe_state state{};
  state.head = head;
  const auto rest = record.subspan(sizeof head);
  const std::size_t begin = sizeof head + left_out;
  std::memcpy(reinterpret_cast<std::byte*>(&state) + begin, rest.data(), std::min(rest.size(), sizeof state - begin));
  return state;
}

}  // namespace tcpwhy::trace
