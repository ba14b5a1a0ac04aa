#include "scan/connections/shard.h"

#include <algorithm>
#include <utility>

namespace tcpwhy::scan {
namespace {

constexpr std::size_t records_together = 32;

}  // namespace

void count(Totals& totals, const Frame& frame) {
  const std::int64_t at_ns = base::to_ns(frame.at);
  if (totals.frames++ == 0) totals.first_ns = totals.last_ns = at_ns;
  totals.first_ns = std::min(totals.first_ns, at_ns);
  totals.last_ns = std::max(totals.last_ns, at_ns);
  totals.wire_bytes += frame.original_length;
  switch (frame.packet.kind) {
    case wire::Dissection::tcp: ++totals.segments; break;
    case wire::Dissection::truncated: ++totals.truncated; break;
    case wire::Dissection::malformed: ++totals.malformed; break;
    case wire::Dissection::fragment: ++totals.fragments; break;
    default: ++totals.other; break;
  }
}

void add(Totals& sum, const Totals& part) {
  if (part.frames == 0) return;
  sum.first_ns = sum.frames == 0 ? part.first_ns : std::min(sum.first_ns, part.first_ns);
  sum.last_ns = sum.frames == 0 ? part.last_ns : std::max(sum.last_ns, part.last_ns);
  sum.frames += part.frames;
  sum.segments += part.segments;
  sum.truncated += part.truncated;
  sum.malformed += part.malformed;
  sum.fragments += part.fragments;
  sum.other += part.other;
  sum.wire_bytes += part.wire_bytes;
}

void RecordBatcher::put(const Connection& connection, Left left) {
  fill(records_.emplace_back(), connection, left);
  if (records_.size() >= records_together) flush();
}

void RecordBatcher::flush() {
  if (records_.empty()) return;
  const std::lock_guard lock(mutex_);
  on_records_(records_);
  records_.clear();
}

void Shard::take(const Frame& frame) {
  const wire::DissectedPacket& packet = frame.packet;
  if (packet.kind == wire::Dissection::icmp_error) {
    table_.take_icmp(frame.number, packet.segment, packet.icmp, packet.encapsulation);
  } else {
    table_.take(frame.number, base::to_ns(frame.at), packet.segment, packet.encapsulation);
  }
}

void Shard::take(const Sighting& sighting) {
  if (sighting.error != nullptr) {
    table_.take_icmp(sighting.frame, sighting.segment, *sighting.error, sighting.around);
  } else {
    table_.take(sighting.frame, sighting.at_ns, sighting.segment, sighting.around);
  }
}

void Shard::finish(std::int64_t capture_ended_ns) {
  table_.finish(capture_ended_ns);
  batcher_.flush();
}

}  // namespace tcpwhy::scan
