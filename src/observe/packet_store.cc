#include "observe/packet_store.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "wire/packet.h"

namespace tcpwhy::observe {
namespace {

using recording::Event;
using recording::Packet;
using recording::SocketState;

constexpr std::size_t alignment = 8;

std::size_t padded(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

}  // namespace

void PacketStore::Pile::append(const Head& head, const std::uint8_t* packet) {
  const std::size_t needed = sizeof head + head.padded;
  if (pieces.empty() || pieces.back().size + needed > std::max(piece_bytes, needed)) {
    Piece piece{std::make_unique_for_overwrite<std::byte[]>(std::max(piece_bytes, needed))};
    pieces.push_back(std::move(piece));
  }
  Piece& piece = pieces.back();
  std::memcpy(piece.bytes.get() + piece.size, &head, sizeof head);
  std::memcpy(piece.bytes.get() + piece.size + sizeof head, packet, head.captured);
  piece.size += needed;
  bytes += needed;
  ++count;
}

// Calls f(head, bytes) for each.
template <class F>
void PacketStore::for_each(const Pile::Piece& piece, F&& f) {
  for (std::size_t at = 0; at < piece.size;) {
    Head head;
    std::memcpy(&head, piece.bytes.get() + at, sizeof head);
    f(head, reinterpret_cast<const std::uint8_t*>(piece.bytes.get()) + at + sizeof head);
    at += sizeof head + head.padded;
  }
}

bool PacketStore::add(const Event& event) {
  if (paused_) {
    if (std::holds_alternative<Packet>(event.what)) ++left_out_;
    return true;
  }
  try {
    if (const auto* packet = std::get_if<Packet>(&event.what)) {
      const auto captured = static_cast<std::uint32_t>(packet->bytes.size());
      undecided_.append({base::to_ns(event.at), packet->interface.value, packet->original_length, captured,
                         static_cast<std::uint32_t>(padded(captured))},
                        packet->bytes.data());
    } else {
      states_.push_back(event);
    }
  } catch (const std::bad_alloc&) {
    return ++no_memory_for_, false;
  }
  return true;
}

void PacketStore::let_go(const Flow& flow) {
  if (const auto known = gone_.find(flow); known != gone_.end())
    ++known->second;
  else if (gone_.size() < most_flows)
    gone_.emplace(flow, 1);
}

void PacketStore::decide(TracedConnections& traced, std::span<const recording::Interface> interfaces) {
  const std::size_t half = (undecided_.pieces.size() + 1) / 2;
  for (std::size_t i = 0; i < half; ++i) {
    Pile::Piece piece = std::move(undecided_.pieces[i]);
    undecided_.bytes -= piece.size;
    for_each(piece, [&](const Head& head, const std::uint8_t* bytes) {
      --undecided_.count;
      const auto seen =
          wire::dissect(interfaces[head.interface].link_type, {bytes, head.captured}, head.original_length);
      if (seen.kind != wire::Dissection::tcp) return;
      const auto &from = seen.segment.source, &to = seen.segment.destination;
      if (traced.takes(from, to, base::wall_from_ns(head.at_ns)))
        kept_.append(head, bytes);
      else
        let_go(Flow::between(from, to));
    });
  }
  undecided_.pieces.erase(undecided_.pieces.begin(), undecided_.pieces.begin() + static_cast<std::ptrdiff_t>(half));
  const auto older = states_.begin() + static_cast<std::ptrdiff_t>((states_.size() + 1) / 2);
  std::copy_if(states_.begin(), older, std::back_inserter(kept_states_),
               [&](const Event& event) { return traced.takes(std::get<SocketState>(event.what), event.at); });
  states_.erase(states_.begin(), older);
}

void PacketStore::expand(const Pile& pile, const std::function<void(Event&&)>& take) {
  for (const Pile::Piece& piece : pile.pieces)
    for_each(piece, [&](const Head& head, const std::uint8_t* bytes) {
      Packet packet;
      packet.interface = {head.interface};
      packet.original_length = head.original_length;
      packet.bytes.assign(bytes, bytes + head.captured);
      take({.at = base::wall_from_ns(head.at_ns), .actor = {}, .what = std::move(packet)});
    });
}

void PacketStore::release(const std::function<void(Event&&)>& take) {
  for (Pile* pile : {&kept_, &undecided_}) {
    expand(*pile, take);
    *pile = {};
  }
  for (auto* states : {&kept_states_, &states_}) {
    for (Event& event : *states) take(std::move(event));
    states->clear();
  }
}

std::vector<Event> PacketStore::losses(const TracedConnections& traced) const {
  std::vector<Event> losses;
  const auto note = [&](std::uint64_t count, const char* why) {
    if (count > 0) losses.push_back({base::wall_now(), {}, recording::Loss{"packets", count, why}});
  };
  std::uint64_t late = 0;
  for (const auto& [flow, count] : gone_)
    if (traced.knows(flow)) late += count;
  note(late,
       "so many passed on this machine that they had gone when their connection became known: --port, --host or "
       "--filter keeps out others");
  note(no_memory_for_, "there was no memory for more");
  note(left_out_, "of the whole machine: they came when the recording was full");
  return losses;
}

}  // namespace tcpwhy::observe
