#include "scan/tables/connection_table.h"

#include <utility>

namespace tcpwhy::scan {
namespace {

void note(Evidence& evidence, const tcp::Verdict& verdict, std::uint64_t frame) {
  const auto first = [frame](std::uint64_t& place) {
    if (place == 0) place = frame;
  };
  using enum tcp::RetransmissionReason;
  if (verdict.kind == tcp::Kind::retransmission) {
    const bool acked = verdict.has(tcp::mark::acked_before);
    if (verdict.reason == syn) {
      first(acked ? evidence.repeated_syn_ack : evidence.resent_syn);
    } else {
      first(evidence.retransmission);
    }
    // Of the others it is assumed.
    if (verdict.reason == timeout && !verdict.has(tcp::mark::assumed)) first(evidence.timeout);
    if (acked && verdict.reason != syn) first(evidence.fin_again);
  }
  if (verdict.kind == tcp::Kind::illegal) first(evidence.illegal);
  if (verdict.marks == 0) return;
  if (verdict.has(tcp::mark::zero_window)) first(evidence.zero_window);
  if (verdict.has(tcp::mark::gap_before | tcp::mark::acks_unseen)) first(evidence.gap);
  if (verdict.has(tcp::mark::needless | tcp::mark::proves_needless)) first(evidence.needless);
  if (verdict.has(tcp::mark::offload_copy)) first(evidence.offload);
  if (verdict.has(tcp::mark::behind_ack)) first(evidence.behind_ack);
}

FlowKey without_vlans(FlowKey key) {
  key.around.vlans = 0;
  return key;
}

}  // namespace

void ConnectionTable::link(List& list, Slot slot) {
  links_[slot] = {.older = list.newest, .newer = none};
  (list.newest == none ? list.oldest : links_[list.newest].newer) = slot;
  list.newest = slot;
  ++list.size;
}

void ConnectionTable::unlink(List& list, Slot slot) {
  const Links links = links_[slot];
  (links.older == none ? list.oldest : links_[links.older].newer) = links.newer;
  (links.newer == none ? list.newest : links_[links.newer].older) = links.older;
  --list.size;
}

ConnectionTable::Slot ConnectionTable::new_entry(const FlowKey& key) {
  Slot slot = 0;
  if (free_.empty()) {
    slot = static_cast<Slot>(links_.size());
    if (slot % entries_a_piece == 0) entries_.push_back(std::make_unique<Entry[]>(entries_a_piece));
    links_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Entry& made = entry(slot);
  made.key = key;
  made.is_over = false;
  connections_.emplace(key, slot);
  link(open_, slot);
  return slot;
}

void ConnectionTable::start(Entry& entry, const wire::TcpSegment& segment) {
  entry.connection.ends[tcp::EndIndex::first] = segment.source;
  entry.connection.ends[tcp::EndIndex::second] = segment.destination;
  entry.is_first_low = AddressWords(segment.source).before(AddressWords(segment.destination));
}

void ConnectionTable::start_again(Entry& entry, const wire::TcpSegment& segment) {
  entry.connection = {};
  start(entry, segment);
}

void ConnectionTable::leave(Slot slot, Left why) {
  Entry& gone = entry(slot);
  unlink(gone.is_over ? over_ : open_, slot);
  forget_keys(slot);
  on_end_(gone.connection, gone.is_over ? Left::over : why);
  gone.connection = {};
  free_.push_back(slot);
}

ConnectionTable::Slot ConnectionTable::find(const FlowKey& key) {
  if (latest_ != none && latest_key_ == key) return latest_;
  const auto found = connections_.find(key);
  if (found == connections_.end()) return none;
  latest_key_ = key;
  return latest_ = found->second;
}

void ConnectionTable::forget_keys(Slot slot) {
  if (slot == latest_) latest_ = none;
  const FlowKey& key = entry(slot).key;
  connections_.erase(key);
  if (const auto other = other_keys_.find(slot); other != other_keys_.end()) {
    connections_.erase(other->second);
    other_keys_.erase(other);
  }
  if (key.around.vlans == 0) return;
  if (const auto asked = asked_in_vlans_.find(without_vlans(key)); asked != asked_in_vlans_.end())
    if (asked->second == slot) asked_in_vlans_.erase(asked);
}

// Only a handshake shows that the two belong together: before and behind a router the same addresses are two
// connections, each of which has its own SYN.
ConnectionTable::Slot ConnectionTable::asked_in_another_vlan(const wire::TcpSegment& segment,
                                                             const FlowKey& key) const {
  const FlowKey bare = without_vlans(key);
  const auto fits = [&](Slot slot) {
    const Entry& asked = entry(slot);
    const tcp::Tracker& tracker = asked.connection.tracker;
    return !asked.is_over &&
           AddressWords(asked.connection.ends[tcp::EndIndex::first]) == AddressWords(segment.destination) &&
           tracker.end(tcp::EndIndex::first).syn_seen && tracker.end(tcp::EndIndex::second).segments == 0 &&
           segment.ack.value == tracker.end(tcp::EndIndex::first).isn + 1;
  };
  if (key.around.vlans != 0)
    if (const auto untagged = connections_.find(bare); untagged != connections_.end() && fits(untagged->second))
      return untagged->second;
  const auto tagged = asked_in_vlans_.find(bare);
  return tagged != asked_in_vlans_.end() && fits(tagged->second) ? tagged->second : none;
}

void ConnectionTable::forget_over(std::int64_t now_ns) {
  while (over_.size > 0) {
    const bool too_many = over_.size > limits_.over;
    if (!too_many && now_ns - entry(over_.oldest).connection.tracker.last_ns() < limits_.over_ns) break;
    leave(over_.oldest, Left::over);
    // Nobody has looked at the next one for long; its turn comes with one of the next segments.
    if (over_.size > 0) prefetch(over_.oldest);
  }
}

void ConnectionTable::prefetch(Slot slot) const {
  constexpr std::size_t cache_line = 64;
  const auto* bytes = reinterpret_cast<const char*>(&entry(slot));
  for (std::size_t at = 0; at < sizeof(Entry); at += cache_line) __builtin_prefetch(bytes + at);
}

// For one more.
void ConnectionTable::make_room() {
  while (open_.size > 0 && open_.size >= limits_.open) {
    ++evicted_;
    leave(open_.oldest, Left::evicted);
  }
}

TakenSegment ConnectionTable::take(std::uint64_t frame, std::int64_t at_ns, const wire::TcpSegment& segment,
                                   wire::Encapsulation around) {
  forget_over(at_ns);
  const AddressWords source(segment.source), destination(segment.destination);
  const FlowKey key = key_of(source, destination, around);
  Slot slot = find(key);
  bool is_new = slot == none;
  if (is_new && segment.flags.syn()) [[unlikely]] {
    if (segment.flags.ack()) slot = asked_in_another_vlan(segment, key);
    if (slot != none) {
      is_new = false;
      connections_.emplace(key, slot);
      other_keys_.emplace(slot, key);
    }
  }
  if (is_new) {
    make_room();
    slot = new_entry(key);
    if (key.around.vlans != 0 && segment.flags.syn() && !segment.flags.ack())
      asked_in_vlans_.insert_or_assign(without_vlans(key), slot);
  }
  Entry& entry = this->entry(slot);
  Connection& connection = entry.connection;
  if (is_new) start(entry, segment);
  // Both endpoints the same (a connection to itself): always the first.
  const bool is_source_low = source.before(destination);
  const auto side = [&] { return is_source_low == entry.is_first_low ? tcp::EndIndex::first : tcp::EndIndex::second; };
  tcp::EndIndex from = side();
  bool reused = false;
  if (!is_new && connection.tracker.begins_anew({at_ns, frame, from, segment})) {
    const auto* pending = connection.tracker.pending_syn();
    const std::uint32_t reuse = connection.reuse + 1;
    if (pending == nullptr) {
      on_end_(connection, Left::over);
      start_again(entry, segment);
    } else {
      const tcp::Tracker::PendingSyn syn = *pending;
      on_end_(connection, Left::over);
      start_again(entry, syn.segment);
      connection.tracker.observe({syn.at_ns, syn.frame, tcp::EndIndex::first, syn.segment});
    }
    connection.reuse = reuse;
    reused = true;
    from = side();
  }
  connection.last_frame = frame;
  TakenSegment taken{&connection, from, connection.tracker.observe({at_ns, frame, from, segment})};
  if (reused) taken.verdict.marks |= tcp::mark::port_reused;
  note(connection.evidence, taken.verdict, frame);

  List& before = entry.is_over ? over_ : open_;
  entry.is_over = connection.tracker.is_over();
  List& after = entry.is_over ? over_ : open_;
  if (&before != &after || after.newest != slot) {
    unlink(before, slot);
    link(after, slot);
  }
  return taken;
}

void ConnectionTable::take_icmp(std::uint64_t frame, const wire::TcpSegment& segment, const wire::IcmpError& error,
                                wire::Encapsulation around) {
  const auto found = connections_.find(key_of(segment, around));
  if (found == connections_.end()) return;
  Entry& entry = this->entry(found->second);
  Connection& connection = entry.connection;
  // RFC 5927 4.1: "TCP SHOULD check that the TCP sequence number contained in the payload of the ICMP error message is within the range
  // SND.UNA =< SEG.SEQ < SND.NXT." What was acknowledged meanwhile is passed over, for the tap may see it sooner than the host.
  const bool is_first_low =
      AddressWords(segment.source).before(AddressWords(segment.destination)) == entry.is_first_low;
  const tcp::EndIndex from = is_first_low ? tcp::EndIndex::first : tcp::EndIndex::second;
  if (!connection.tracker.has_sent(from, segment.seq.value)) {
    if (connection.evidence.icmp_disbelieved == 0) connection.evidence.icmp_disbelieved = frame;
    return;
  }
  if (connection.icmp.frame == 0) connection.icmp = {frame, error};
}

void ConnectionTable::finish() {
  while (open_.size > 0 || over_.size > 0) {
    // In order of their first frames, as far as the two lists tell.
    leave(open_.size > 0 ? open_.oldest : over_.oldest, Left::capture_end);
  }
}

}  // namespace tcpwhy::scan
