#include "scan/connections/connection_table.h"

#include <algorithm>
#include <utility>

#include "tcp/half_seen.h"

namespace tcpwhy::scan {
namespace {

void note(Evidence& evidence, const tcp::Verdict& verdict, const wire::TcpSegment& segment, std::uint64_t frame) {
  const auto first = [frame](std::uint64_t& place) {
    if (place == 0) place = frame;
  };
  using enum tcp::RetransmissionReason;
  if (verdict.kind == tcp::Kind::retransmission) {
    const bool acked = verdict.has(tcp::mark::acked_before);
    if (verdict.reason == syn || verdict.reason == syn_again) {
      // Who sends its SYN again though that was acknowledged has not got the SYN-ACK.
      const bool repeats = acked && segment.flags.ack();
      first(repeats ? evidence.repeated_syn_ack : evidence.resent_syn);
      if (repeats) ++evidence.repeated_syn_acks;
    } else {
      first(evidence.retransmission);
    }
    // Where all had arrived nobody waited.
    if (verdict.reason == timeout) {
      const bool needless = verdict.has(tcp::mark::needless), assumed = verdict.has(tcp::mark::assumed);
      if (!assumed) first(evidence.timeout);
      if (needless)
        ++evidence.needless_timeouts;
      else if (assumed)
        first(evidence.wait);
      else if (evidence.sure_waits++ == 0)
        evidence.wait = frame;
    }
    if (acked && verdict.reason != syn && verdict.reason != syn_again) first(evidence.fin_again);
  }
  switch (verdict.illegality) {
    case tcp::Illegality::none: break;
    case tcp::Illegality::ack_in_syn_sent:
      // An older connection answers with an ACK: what opens a new one is a stray.
      first(segment.flags.syn() ? evidence.illegal : evidence.old_connection);
      break;
    case tcp::Illegality::another_syn_ack: first(evidence.another_syn_ack); break;
    default: first(evidence.illegal);
  }
  if (verdict.marks == 0) return;
  if (verdict.has(tcp::mark::zero_window)) first(evidence.zero_window);
  if (verdict.has(tcp::mark::gap_before | tcp::mark::acks_unseen)) first(evidence.gap);
  if (verdict.has(tcp::mark::needless | tcp::mark::proves_needless)) first(evidence.needless);
  if (verdict.has(tcp::mark::offload_copy)) first(evidence.offload);
  if (verdict.has(tcp::mark::behind_ack)) first(evidence.behind_ack);
}

// The frame of the reset by which who sent this SYN refused the answer of a connection that it had forgotten; 0: there was none.
std::uint64_t reset_in_answer_to(const tcp::Tracker::PendingSyn& syn, const tcp::Tracker& old) {
  const tcp::ResetSeen reset = old.reset();
  const bool answers = reset.cause == tcp::ResetCause::no_connection && reset.from == syn.from;
  return answers && reset.frame > syn.frame ? reset.frame : 0;
}

FlowKey bare(FlowKey key) {
  key.around = {};
  return key;
}

bool has_wrapping(const FlowKey& key) { return key.around.value() != 0; }
bool is_to_itself(const FlowKey& key) { return key.low == key.high; }

tcp::EndIndex end_at(const Connection& connection, const wire::SocketAddress& address) {
  const bool is_first = AddressWords(connection.ends[tcp::EndIndex::first]) == AddressWords(address);
  return is_first ? tcp::EndIndex::first : tcp::EndIndex::second;
}

std::uint32_t segments_of(const Connection& connection) {
  return connection.tracker.end(tcp::EndIndex::first).segments + connection.tracker.end(tcp::EndIndex::second).segments;
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

void ConnectionTable::add_piece() {
  if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < entries_a_piece)
    blocks_.emplace_back().reserve((pieces_.size() < few_pieces ? 1 : pieces_a_block) * entries_a_piece);
  Block& block = blocks_.back();
  block.resize(block.size() + entries_a_piece);  // there is room: nothing moves
  pieces_.push_back(&block[block.size() - entries_a_piece]);
}

ConnectionTable::Slot ConnectionTable::new_entry(const FlowKey& key) {
  Slot slot = 0;
  if (free_.empty()) {
    slot = static_cast<Slot>(links_.size());
    if (slot == pieces_.size() * entries_a_piece) add_piece();
    links_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Entry& made = entry(slot);
  made.key = key;
  made.is_over = made.is_joined = false;
  connections_.emplace(key, slot);
  if (has_wrapping(key)) [[unlikely]]
    note_wrapped(slot, key);
  else
    ++naked_;
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
  forget_keys(slot);
  hand_out(slot, why);
}

void ConnectionTable::hand_out(Slot slot, Left why) {
  Entry& gone = entry(slot);
  unlink(gone.is_over ? over_ : open_, slot);
  on_end_(gone.connection, gone.is_over ? Left::over : why);
  std::destroy_at(&gone.connection);
  std::construct_at(&gone.connection);
  free_.push_back(slot);
}

ConnectionTable::Slot ConnectionTable::find(const FlowKey& key) {
  if (latest_ != none && latest_key_ == key) return latest_;
  const auto found = connections_.find(key);
  if (found == connections_.end()) return none;
  latest_key_ = key;
  latest_ = found->second;
  // What the tracker will look at lies on a dozen cache lines: they come side by side.
  prefetch(latest_);
  return latest_;
}

void ConnectionTable::forget_keys(Slot slot) {
  if (slot == latest_) latest_ = none;
  const FlowKey& key = entry(slot).key;
  connections_.erase(key);
  if (entry(slot).is_joined) {
    const auto other = other_keys_.find(slot);
    connections_.erase(other->second.key);
    other_keys_.erase(other);
  }
  if (!has_wrapping(key)) {
    --naked_;
    return;
  }
  const auto wrapped = wrapped_.find(hash_of(bare(key), seed_));
  if (wrapped == wrapped_.end()) return;
  std::ranges::fill(std::ranges::remove(wrapped->second, slot), none);
  if (wrapped->second.front() == none) wrapped_.erase(wrapped);
}

void ConnectionTable::note_wrapped(Slot slot, const FlowKey& key) {
  const auto [known, is_new] = wrapped_.try_emplace(hash_of(bare(key), seed_));
  Wrapped& wrapped = known->second;
  if (is_new) wrapped.fill(none);
  std::ranges::rotate(wrapped, wrapped.end() - 1);
  wrapped.front() = slot;
}

template <class F>
void ConnectionTable::for_each_elsewhere(const FlowKey& key, F&& f) const {
  if ((!has_wrapping(key) && wrapped_.empty()) || is_to_itself(key)) return;
  const FlowKey without = bare(key);
  if (has_wrapping(key) && naked_ > 0)
    if (const auto naked = connections_.find(without); naked != connections_.end()) f(naked->second);
  if (const auto wrapped = wrapped_.find(hash_of(without, seed_)); wrapped != wrapped_.end())
    for (const Slot slot : wrapped->second)
      if (slot != none && bare(entry(slot).key) == without) f(slot);
}

ConnectionTable::Slot ConnectionTable::other_half(const wire::TcpSegment& segment, const FlowKey& key) const {
  // The surest, and of those the newest: where several places were captured, the answer comes first to where the question came last.
  std::pair<tcp::Fit, std::uint64_t> best{tcp::Fit::none, 0};
  Slot found = none;
  for_each_elsewhere(key, [&](Slot slot) {
    const Connection& asked = entry(slot).connection;
    const auto half = tcp::half_seen(asked.tracker, end_at(asked, segment.destination));
    if (!half) return;
    const std::pair rank(half->fit(segment), asked.tracker.first_frame());
    if (rank.first != tcp::Fit::none && rank > best) best = rank, found = slot;
  });
  return found;
}

ConnectionTable::Slot ConnectionTable::quoted_half(const wire::TcpSegment& segment, const FlowKey& key) const {
  Slot found = none;
  for_each_elsewhere(key, [&](Slot slot) {
    const Connection& quoted = entry(slot).connection;
    const auto half = tcp::half_seen(quoted.tracker, end_at(quoted, segment.source));
    if (found == none && half && half->sent(segment.seq)) found = slot;
  });
  return found;
}

ConnectionTable::Slot ConnectionTable::answered_elsewhere(Slot slot, const wire::TcpSegment& segment,
                                                          const FlowKey& key, bool is_from_low) {
  const Entry& alone = entry(slot);
  const auto from = is_from_low == alone.is_first_low ? tcp::EndIndex::first : tcp::EndIndex::second;
  if (alone.connection.tracker.end(tcp::opposite(from)).segments > 0) return slot;
  const Slot asked = other_half(segment, key);
  if (asked == none) return slot;
  leave(slot, Left::over);
  join(asked, key, is_from_low);
  return asked;
}

void ConnectionTable::join(Slot slot, const FlowKey& key, bool is_from_low) {
  Entry& joined = entry(slot);
  joined.is_joined = true;
  connections_.emplace(key, slot);
  other_keys_.emplace(slot, OtherKey{key, is_from_low, segments_of(joined.connection)});
}

ConnectionTable::Slot ConnectionTable::part_if_both_ways(Slot slot, const FlowKey& key, bool is_from_low) {
  Entry& joined = entry(slot);
  const auto found = other_keys_.find(slot);
  const OtherKey other = found->second;
  const bool is_other = key == other.key;
  if (is_from_low == (is_other ? other.is_from_low : !other.is_from_low)) return slot;
  if (segments_of(joined.connection) - other.segments_before > tcp::segments_in_doubt) return slot;
  connections_.erase(other.key);
  other_keys_.erase(found);
  joined.is_joined = false;
  latest_ = none;
  return is_other ? none : slot;
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
  // Both endpoints the same (a connection to itself): always the first.
  const bool is_source_low = source.before(destination);
  Slot slot = find(key);
  if (slot != none && entry(slot).is_joined) [[unlikely]]
    slot = part_if_both_ways(slot, key, is_source_low);
  if (slot != none && segment.flags.syn() && segment.flags.ack()) [[unlikely]]
    slot = answered_elsewhere(slot, segment, key, is_source_low);
  bool is_new = slot == none;
  if (is_new) {
    slot = other_half(segment, key);
    if (slot != none) [[unlikely]] {
      is_new = false;
      join(slot, key, is_source_low);
    }
  }
  if (is_new) {
    make_room();
    slot = new_entry(key);
  }
  Entry& entry = this->entry(slot);
  Connection& connection = entry.connection;
  if (is_new) start(entry, segment);
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
      // It was the first of the next connection. The old one's end answered it, if it was reset then (RFC 9293 3.5.1, figure 9).
      const std::uint64_t answer = reset_in_answer_to(syn, connection.tracker);
      if (connection.evidence.illegal == syn.frame && connection.tracker.end(syn.from).illegal == 1)
        connection.evidence.illegal = 0;
      on_end_(connection, Left::over);
      start_again(entry, syn.segment);
      connection.tracker.observe({syn.at_ns, syn.frame, tcp::EndIndex::first, syn.segment});
      connection.evidence.old_connection = answer;
      connection.evidence.old_was_reset = answer != 0;
    }
    connection.reuse = reuse;
    reused = true;
    from = side();
  }
  connection.last_frame = frame;
  TakenSegment taken{&connection, from, connection.tracker.observe({at_ns, frame, from, segment})};
  if (reused) taken.verdict.marks |= tcp::mark::port_reused;
  note(connection.evidence, taken.verdict, segment, frame);

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
  const FlowKey key = key_of(segment, around);
  const auto found = connections_.find(key);
  const Slot slot = found != connections_.end() ? found->second : quoted_half(segment, key);
  if (slot == none) return;
  Entry& entry = this->entry(slot);
  Connection& connection = entry.connection;
  // RFC 5927 4.1 has a host believe an error only about what it sent and nobody has acknowledged. What was acknowledged meanwhile is
  // believed here, for the tap may see that sooner than the host.
  const bool is_first_low =
      AddressWords(segment.source).before(AddressWords(segment.destination)) == entry.is_first_low;
  const tcp::EndIndex from = is_first_low ? tcp::EndIndex::first : tcp::EndIndex::second;
  if (!connection.tracker.has_sent(from, segment.seq.value)) {
    if (connection.evidence.icmp_disbelieved == 0) connection.evidence.icmp_disbelieved = frame;
    return;
  }
  if (connection.icmp.frame == 0) connection.icmp = {frame, error};
}

void ConnectionTable::finish(std::optional<std::int64_t> capture_ended_ns) {
  while (open_.size > 0 || over_.size > 0) {
    // In order of their first frames, as far as the two lists tell.
    const Slot slot = open_.size > 0 ? open_.oldest : over_.oldest;
    Connection& connection = entry(slot).connection;
    if (capture_ended_ns)
      connection.quiet_ns = std::max<std::int64_t>(0, *capture_ended_ns - connection.tracker.last_ns());
    hand_out(slot, Left::capture_end);
    if (const Slot next = open_.size > 0 ? open_.oldest : over_.oldest; next != none) prefetch(next);
  }
  // All keys at once, and not one by one as each leaves.
  connections_.clear();
  other_keys_.clear();
  wrapped_.clear();
  naked_ = 0;
  latest_ = none;
}

}  // namespace tcpwhy::scan
