// The timeline as numbered rows: one model for every view that a person reads.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/language.h"
#include "explain/finding.h"
#include "timeline/timeline.h"

namespace tcpwhy::render {

using timeline::ConnectionIndex;
using timeline::EventId;
using timeline::Grade;
using timeline::Side;

enum class RowKind : std::uint8_t {
  call,         // entered and returned, nothing in between
  call_enters,  // what follows happens inside it
  call_returns,
  segment,    // leaves and arrives in one moment (one tap)
  departure,  // leaves; arrives in a later row
  arrival,
  signal,
  process_end,
  state,   // a state that no segment explains: an entry that was forgotten
  kernel,  // the kernel's word on what no segment's row tells: a reset, a socket error
  note,
  failure,  // an expectation that did not hold
  loss,
  folded,  // segments like those around them, as one row
};

struct StateCell {
  tcp::State state = tcp::State::not_seen;
  bool changed = false;
  bool sampled = false;  // the kernel's own table showed it
};

struct Row {
  std::uint32_t number = 0;  // from 1
  base::Duration at{};       // since the recording's first event
  RowKind kind = RowKind::note;
  std::optional<Side> side;  // whose doing it is; for segments the sender
  std::string actor;         // name, where it is not the column's: a forked child, a third end
  std::string text;          // the call line, the segment in short, the note; escaped
  std::string stack;         // the program's, of a call that opens, shuts or closes; escaped; may be empty
  std::string comment;       // what the scenario says at the end of the call's line; escaped
  std::optional<ConnectionIndex> connection;
  timeline::PerSide<StateCell> states;  // segments only
  std::string cause;                    // "connect()", "answer to row 5", "delayed-ACK timer, started by row 7"
  std::optional<Grade> grade;
  timeline::PerSide<bool> inside_call;  // a call of that side is in progress around this row
  bool failed = false;                  // the call did
  bool opens = false;                   // a call that sets up a socket or connects it, the ACK that ends the handshake
  // What the tracker says of a segment of a capture, and since when the connection was quiet; 0 and empty elsewhere.
  std::uint64_t frame = 0;
  std::optional<base::Duration> since;
  std::string wire;
  std::vector<EventId> events;  // what the row stands for
};

struct Rows {
  std::vector<Row> rows;
  timeline::PerSide<std::string> ends;  // names over the two columns
  // Where the opening ends: rows before it only set up sockets and shake hands. 0 if there is none.
  std::uint32_t opening_ends = 0;
  bool numbered_by_frame = false;  // the first column shows frames, not rows

  // Of which row an event is, be that row folded: each has its number, and those of a fold are its own and what comes before the next.
  class Numbers {
   public:
    void add(EventId event, std::uint32_t row) { pairs_.push_back({event, row}), sorted_ = false; }
    // The latest that was added; nothing: it is of no row.
    [[nodiscard]] std::optional<std::uint32_t> of(EventId event) const;

   private:
    struct Pair {
      EventId event;
      std::uint32_t row;
    };
    mutable std::vector<Pair> pairs_;  // in order once they are asked for
    mutable bool sorted_ = true;
  };
  Numbers numbers;

  // Null: it is of none.
  [[nodiscard]] const Row* row_of(EventId event) const;
  [[nodiscard]] Row* row_numbered(std::uint32_t number);
  // "3, 5–7": the rows of a finding's evidence; evidence that has no row (samples, counters) is left out.
  [[nodiscard]] std::string rows_of(const std::vector<EventId>& events) const;
};

Rows make_rows(const timeline::Timeline& timeline, base::Language language);

// Where the rows of each connection come from: made once for all of them, so that what one costs doesn't grow with the others.
// The timeline must outlive it.
class EntriesByConnection {
 public:
  explicit EntriesByConnection(const timeline::Timeline& timeline);

  // In the timeline's order: its own, and those that may belong to its story though they are not of it.
  [[nodiscard]] std::vector<const timeline::Entry*> of(ConnectionIndex connection) const;
  // By the call's number; none: there is no such call.
  [[nodiscard]] std::optional<EventId> entry_of_call(std::uint32_t number) const;
  // Whether an actor's calls say that it stands on the listening side.
  [[nodiscard]] bool is_listener_like(timeline::ActorId actor) const { return listener_like_.contains(actor.value); }

 private:
  using Shared = timeline::SortedIndex<timeline::ActorId, std::uint32_t>;
  bool share(std::uint32_t index);
  void add_meanwhile(std::span<const Shared::Pair> shared, ConnectionIndex connection,
                     std::vector<std::uint32_t>& all) const;

  const timeline::Timeline& timeline_;
  std::vector<std::vector<std::uint32_t>> own_;  // indices into the timeline's entries
  // What may be of several connections' stories: by the port that is listened on; by the actor.
  timeline::SortedIndex<std::uint16_t, std::uint32_t> listens_;
  Shared signals_, ends_;
  Shared losses_;  // of no actor
  std::unordered_map<std::uint32_t, EventId> calls_;
  std::set<std::uint32_t> listener_like_;
};
// Those of one connection, with times since its own beginning. `kept`: only the rows of these events, failures and losses, and each run of
// others as one row, where that is shorter: a run takes no more memory than its row. Null: all.
Rows make_rows_of(const timeline::Timeline& timeline, const EntriesByConnection& entries, ConnectionIndex connection,
                  base::Language language, const std::set<EventId>* kept = nullptr);

}  // namespace tcpwhy::render
