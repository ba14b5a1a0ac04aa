#include "trace/bpf/lives/life_recorder.h"

#include <sys/socket.h>

#include <utility>

#include "trace/bpf/events/whole_records.h"
#include "trace/tcp_states.h"

namespace tcpwhy::trace {
namespace {

using namespace recording;

wire::SocketAddress address(std::uint16_t family, const __u8 (&bytes)[16], std::uint16_t port) {
  const std::span<const std::uint8_t, 16> all(bytes);
  const auto ip = family == AF_INET ? wire::IpAddress::v4(all.first<4>()) : wire::IpAddress::v6(all);
  return {ip.unmapped(), port};
}

template <class Record>
const Record* as(std::span<const std::byte> record) {
  return record.size() >= sizeof(Record) ? reinterpret_cast<const Record*>(record.data()) : nullptr;
}

template <class SocketEvent>
SocketEvent about(const probe_socket& socket) {
  SocketEvent told;
  told.socket = socket.cookie;
  told.local = address(socket.family, socket.local, socket.local_port);
  told.remote = address(socket.family, socket.remote, socket.remote_port);
  return told;
}

}  // namespace

void LifeRecorder::add(std::span<const std::byte> record, base::Duration clock) {
  const auto* head = as<probe_head>(record);
  if (head == nullptr) return;
  const base::WallTime at = base::wall_from_ns(static_cast<std::int64_t>(head->at_ns) + clock.count());
  switch (head->kind) {
    case PROBE_STATE:
      if (const auto state = whole_state(record)) {
        const auto from = state_of_kernel(state->old_state);
        const auto to = state_of_kernel(state->new_state);
        if (from == tcp::State::listen || to == tcp::State::listen) return;
        auto told = about<SocketState>(state->socket);
        told.from = from, told.to = to;
        keep(state->socket, at, std::move(told));
      }
      return;
    case PROBE_RESET_SENT:
    case PROBE_RESET_RECEIVED:
      if (const auto reset = whole_reset(record)) {
        auto told = about<Reset>(reset->socket);
        told.sent = head->kind == PROBE_RESET_SENT;
        told.active = told.sent && reset->active != 0;
        if (reset->reason < options_.reset_reasons.size()) told.reason = options_.reset_reasons[reset->reason];
        keep(reset->socket, at, std::move(told));
      }
      return;
    case PROBE_SOCKET_ERROR:
      if (const auto* error = as<probe_error>(record)) {
        auto told = about<SocketError>(error->socket);
        told.error = error->error;
        keep(error->socket, at, std::move(told));
      }
      return;
    default: return;
  }
}

void LifeRecorder::keep(const probe_socket& socket, base::WallTime at, What what) {
  if (socket.cookie == 0) return;
  const auto [place, made] = kept_.try_emplace(socket.cookie);
  Kept& kept = place->second;
  if (kept.events.size() < options_.most_events)
    kept.events.push_back({at, {}, std::move(what)});
  else
    ++kept.left_out;
  if (!made) return;
  in_order_.push_back(socket.cookie);
  while (kept_.size() > options_.most_sockets) {
    given_up_ += kept_.erase(in_order_.front());
    in_order_.pop_front();
  }
  // Those that were handed over are still in line.
  while (in_order_.size() > 2 * options_.most_sockets) in_order_.pop_front();
}

void LifeRecorder::hand_over(const SocketLife& life, Recording& recording) {
  if (life.holder.pid != 0)
    recording.actors.push_back({.name = life.holder.command,
                                .pid = life.holder.pid,
                                .tid = life.holder.pid,
                                .command = life.holder.command,
                                .host = {}});
  const auto found = kept_.find(life.socket);
  if (found == kept_.end()) return;
  for (Event& event : found->second.events) recording.events.push_back(std::move(event));
  if (found->second.left_out > 0)
    recording.events.push_back(
        {life.ended, {}, Loss{"events", found->second.left_out, "more of one socket than a watch keeps"}});
  kept_.erase(found);
}

Recording LifeRecorder::take(const EndedLife& ended) {
  Recording recording;
  hand_over(ended.life, recording);
  if (ended.peer) hand_over(*ended.peer, recording);
  sort_by_time(recording);
  return recording;
}

}  // namespace tcpwhy::trace
