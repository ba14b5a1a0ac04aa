#include "trace/bpf/events/named_conversations.h"

#include <cstring>
#include <iterator>
#include <utility>

#include "trace/bpf/events/known_sockets.h"

namespace tcpwhy::trace {
namespace {

bool names_a_socket(std::uint8_t kind) {
  switch (kind) {
    case PROBE_CALL_ENTERED:
    case PROBE_CALL_RETURNED:
    case PROBE_CALL_MADE:
    case PROBE_OPERATION_SUBMITTED:
    case PROBE_OPERATION_COMPLETED:
    case PROBE_SEGMENT:
    case PROBE_STATE:
    case PROBE_RESET_SENT:
    case PROBE_RESET_RECEIVED:
    case PROBE_SOCKET_ERROR:
    case PROBE_DESTROYED: return true;
    default: return false;
  }
}

}  // namespace

void NamedConversations::look_at(std::span<const std::byte> record) {
  const auto& head = *reinterpret_cast<const probe_head*>(record.data());
  // A brief record's socket has been told whole.
  if ((head.flags & PROBE_BRIEF) != 0 || !names_a_socket(head.kind)) return;
  if (record.size() < sizeof(probe_head) + sizeof(probe_socket)) return;
  const auto& socket = *reinterpret_cast<const probe_socket*>(record.data() + sizeof(probe_head));
  if (socket.local_port == 0) return;
  constexpr std::uint8_t listens = 10;  // TCP_LISTEN
  if (socket.remote_port == 0 && socket.state != listens) return;
  Seen& seen = seen_[(socket.pointer >> 6U) % places];
  if (seen.pointer == socket.pointer && socket.pointer != 0 && seen.local_port == socket.local_port &&
      seen.remote_port == socket.remote_port)
    return;
  seen = {socket.pointer, socket.local_port, socket.remote_port};
  Conversation told;
  // Of addresses that are any, the port still counts where it listens.
  if (const auto local = address_of(socket.family, socket.local, socket.local_port)) told.local = *local;
  if (const auto remote = address_of(socket.family, socket.remote, socket.remote_port)) told.remote = *remote;
  if (told.local.port != 0) learnt_.push_back(told);
}

void NamedConversations::take(std::vector<Conversation>& told) {
  std::ranges::move(learnt_, std::back_inserter(told));
  learnt_.clear();
}

}  // namespace tcpwhy::trace
