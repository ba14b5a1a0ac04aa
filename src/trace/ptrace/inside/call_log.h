// Calls that recorders have recorded, as they are put aside, and their two events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "recording/event.h"
#include "trace/ptrace/descriptors.h"
#include "trace/ptrace/inside/protocol.h"
#include "trace/repeated_calls.h"

namespace tcpwhy::trace {

struct InsideCall {
  std::uint32_t actor = 0;  // recording::ActorId, the outbox's
  std::uint32_t call = 0;   // its number in the recording
  std::uint32_t entry_is_told = 0;
  std::uint32_t reserved = 0;
  RepeatedCalls::Run before{};  // like it, that are not told
  inside_socket at_entry{};     // that it acts on; cookie 0: none
  inside_socket at_return{};    // that it has made, or changed the addresses of
  inside_record record{};
};

inside_socket packed(const TcpSocket& socket);
TcpSocket unpacked(const inside_socket& socket);

// `snippets` as inside_record has them.
void append_events(const InsideCall& call, std::span<const std::byte> snippets, std::vector<recording::Event>& events);
// The entry of one that is still under way, by a live process's memory.
recording::CallEntered entry_of(const inside_slot& call, pid_t tid, std::uint32_t number, const TcpSocket& socket);

}  // namespace tcpwhy::trace
