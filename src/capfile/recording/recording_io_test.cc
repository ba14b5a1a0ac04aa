#include "capfile/recording/recording_io.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/testing/temporary_folder.h"
#include "capfile/capture_builder.h"
#include "capfile/formats/reader.h"
#include "capfile/recording/sample_recording.h"
#include "recording/fields.h"

namespace tcpwhy::capfile {
namespace {

using namespace recording;
using testing::Bytes;
using testing::CaptureBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::sample_recording;

std::vector<Recording> decoded(std::span<const std::uint8_t> bytes) {
  auto outcome = decode(bytes, "test");
  if (!outcome) ADD_FAILURE() << outcome.error().message.en;
  return outcome ? outcome->recordings : std::vector<Recording>{};
}

// decode(encode(r)) == r, for recordings drawn at random

namespace draw {

using namespace rc;

std::string text() {
  return *gen::weightedOneOf<std::string>({
      {4, gen::container<std::string>(gen::inRange<char>(' ', '\x7f'))},
      {2, gen::arbitrary<std::string>()},
      {1, gen::element<std::string>("", "\n", "a\nb", "=", "TCPWHY_KIND=note", "服务器", std::string("\0\0", 2),
                                    "\x1b[2J")},
  });
}
base::WallTime time() {
  return base::wall_from_ns(*gen::inRange<std::int64_t>(base::to_ns(earliest_time), base::to_ns(latest_time)));
}
wire::SocketAddress address() {
  wire::SocketAddress made;
  made.port = *gen::arbitrary<std::uint16_t>();
  made.ip.family = *gen::element(wire::IpFamily::none, wire::IpFamily::v4, wire::IpFamily::v6);
  const std::size_t size = made.ip.family == wire::IpFamily::none ? 0 : made.ip.family == wire::IpFamily::v4 ? 4 : 16;
  for (std::size_t i = 0; i < size; ++i) made.ip.bytes[i] = *gen::arbitrary<std::uint8_t>();
  return made;
}

// A value for each type that a member of an event may have.
void fill(std::string& member) { member = text(); }
void fill(base::WallTime& member) { member = time(); }
void fill(wire::SocketAddress& member) { member = address(); }
void fill(SignalFate& member) { member = SignalFate(*gen::inRange<std::uint8_t>(0, std::size(signal_fate_names))); }
void fill(Trigger& member) { member = Trigger(*gen::inRange<std::uint8_t>(0, std::size(trigger_names))); }
void fill(tcp::State& member) { member = tcp::State(*gen::inRange<std::uint8_t>(0, tcp::state_count)); }
void fill(wire::TcpFlags& member) { member.bits = *gen::inRange<std::uint16_t>(0, 0x200); }
void fill(EventId&) {}  // causes get theirs below
template <class T>
  requires std::is_integral_v<T>
void fill(T& member) {
  member = *gen::arbitrary<T>();
}
template <class T>
void fill(std::optional<T>& member) {
  if (*gen::arbitrary<bool>()) fill(member.emplace());
}

std::vector<std::string> texts() {
  std::vector<std::string> made;
  for (int count = *gen::inRange(0, 4); count > 0; --count) made.push_back(text());
  return made;
}

Packet packet(std::size_t interfaces) {
  Packet made;
  made.interface.value = *gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(interfaces));
  made.original_length = *gen::arbitrary<std::uint32_t>();
  made.bytes = *gen::arbitrary<Bytes>();
  made.comments = texts();
  return made;
}

// Keeps the rules between events: which calls are open, which positions are packets.
class Events {
 public:
  Events(std::size_t interfaces, std::size_t actors)
      : interfaces_(interfaces), actors_(static_cast<std::uint32_t>(actors)) {}

  void add() {
    Event event;
    event.at = time();
    event.what = what();
    const bool may_have_actor = actors_ > 0 && !std::holds_alternative<Packet>(event.what);
    if (may_have_actor && *gen::arbitrary<bool>()) event.actor.value = *gen::inRange<std::uint32_t>(0, actors_);
    events_.push_back(std::move(event));
  }
  std::vector<Event> take() { return std::move(events_); }

 private:
  What what() {
    switch (*gen::inRange(0, 18)) {
      case 0:
      case 1:
        if (interfaces_ == 0) return filled(Note{});
        packets_.push_back({static_cast<std::uint32_t>(events_.size())});
        return packet(interfaces_);
      case 2:
      case 3: {
        auto entered = filled(CallEntered{});
        entered.call = next_call_++;
        open_.push_back(entered.call);
        return entered;
      }
      case 4:
      case 5: {
        if (open_.empty()) return filled(Loss{});
        auto returned = filled(CallReturned{});
        returned.call = open_.back();
        open_.pop_back();
        return returned;
      }
      case 6: return with_call(filled(Signal{}));
      case 7: return filled(ProcessStarted{});
      case 8: return with_call(filled(ProcessEnded{}));
      case 9: return filled(SocketState{});
      case 10: return filled(CounterMoved{});
      case 11: return cause();
      case 12: return filled(LinkAction{});
      case 13: return with_call(filled(Reset{}));
      case 14: return filled(SocketError{});
      case 15: return filled(SegmentDropped{});
      case 16: return with_call(filled(CallsRepeated{}));
      default: return with_call(filled(ExpectationFailed{}));
    }
  }

  What cause() {
    if (packets_.empty()) return filled(ProcessStarted{});
    auto made = filled(SegmentCause{});
    made.packet = packets_[*gen::inRange<std::size_t>(0, packets_.size())];
    made.by.reset();
    made = with_call(std::move(made));
    if (*gen::arbitrary<bool>())
      made.by = EventId{*gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(events_.size()))};
    return made;
  }

  template <class T>
  T filled(T made) {
    visit_fields(made, [](std::string_view, auto& member) { fill(member); });
    return made;
  }
  template <class T>
  T with_call(T made) {
    made.call.reset();
    if (next_call_ > 0 && *gen::arbitrary<bool>()) made.call = *gen::inRange<std::uint32_t>(0, next_call_);
    return made;
  }

  std::size_t interfaces_;
  std::uint32_t actors_;
  std::vector<Event> events_;
  std::vector<EventId> packets_;
  std::vector<std::uint32_t> open_;
  std::uint32_t next_call_ = 0;
};

Recording recording() {
  Recording made;
  Provenance& provenance = made.provenance;
  provenance.title = text(), provenance.scenario = text(), provenance.host = text();
  provenance.kernel = text(), provenance.program = text();
  provenance.wire = *gen::element(WireKind::unknown, WireKind::loopback, WireKind::link);
  provenance.comments = texts();
  for (int count = *gen::inRange(0, 4); count > 0; --count)
    provenance.observed.add(Observation(*gen::inRange<std::uint8_t>(0, observation_count)));
  provenance.labels = *gen::arbitrary<std::map<std::string, std::string>>();
  for (const std::string& key : texts()) provenance.settings[key] = text();
  for (int count = *gen::inRange(0, 3); count > 0; --count)
    made.interfaces.push_back({.link_type = wire::LinkType(*gen::arbitrary<std::uint16_t>()),
                               .snap_length = *gen::element<std::uint32_t>(0, 96, 262144, UINT32_MAX),
                               .name = text(),
                               .description = text(),
                               .host = text(),
                               .timestamp_digits = *gen::inRange<std::uint8_t>(0, 10)});
  for (int count = *gen::inRange(0, 3); count > 0; --count)
    made.actors.push_back({text(), *gen::arbitrary<std::int32_t>(), *gen::arbitrary<std::int32_t>(), text(), text()});
  Events events(made.interfaces.size(), made.actors.size());
  for (int count = *gen::inRange(0, 30); count > 0; --count) events.add();
  made.events = events.take();
  return made;
}

}  // namespace draw

RC_GTEST_PROP(RoundTrip, decode_of_encode_is_the_same_recording, ()) {
  std::vector<Recording> recordings;
  for (int count = *rc::gen::inRange(1, 4); count > 0; --count) recordings.push_back(draw::recording());
  const auto bytes = encode(recordings);
  RC_ASSERT(bytes.has_value());
  const auto outcome = decode(*bytes, "test");
  RC_ASSERT(outcome.has_value());
  RC_ASSERT(!outcome->stopped_by);
  RC_ASSERT(outcome->recordings == recordings);
}

Sink into(std::ostream& stream) {
  return [&stream](std::span<const std::uint8_t> bytes) {
    stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return base::Status();
  };
}

TEST(RoundTrip, of_the_sample_through_every_form_of_file) {
  const std::vector<Recording> recordings{sample_recording(), sample_recording()};
  const base::testing::TemporaryFolder folder;
  const std::string directory = folder.path();
  for (const char* name : {"x.pcapng", "x.pcapng.gz", "x.pcapng.zst"}) {
    const std::string path = directory + "/" + name;
    std::ofstream file(path, std::ios::binary);
    const auto written = write_recordings(recordings, into(file), compression_of(path));
    file.close();
    ASSERT_TRUE(written) << written.error().message.en;
    const auto outcome = read_recordings(path);
    ASSERT_TRUE(outcome) << outcome.error().message.en;
    EXPECT_FALSE(outcome->stopped_by);
    EXPECT_EQ(outcome->recordings, recordings) << name;
  }
  EXPECT_LT(std::filesystem::file_size(directory + "/x.pcapng.gz"),
            std::filesystem::file_size(directory + "/x.pcapng"));
  EXPECT_LT(std::filesystem::file_size(directory + "/x.pcapng.zst"),
            std::filesystem::file_size(directory + "/x.pcapng"));
}

TEST(RoundTrip, through_a_pipe) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  base::UniqueFd in(ends[0]), out(ends[1]);
  const std::vector<Recording> recordings{sample_recording()};
  const auto bytes = encode(recordings);
  ASSERT_TRUE(bytes);
  ASSERT_EQ(::write(out.get(), bytes->data(), bytes->size()), static_cast<ssize_t>(bytes->size()));
  out.reset();
  const auto outcome = read_recordings_from(in.get(), "the sandbox");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->recordings, recordings);
}

// However much there is, no more than a piece of it is in memory as bytes.
TEST(Write, a_large_recording_is_handed_over_in_pieces) {
  Recording recording;
  for (int i = 0; i < 40'000; ++i) recording.events.push_back({{}, {}, Note{std::string(200, 'x'), 0}});
  for (const auto compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    std::vector<std::uint8_t> whole;
    std::size_t largest = 0;
    const Sink sink = [&](std::span<const std::uint8_t> bytes) {
      largest = std::max(largest, bytes.size());
      whole.insert(whole.end(), bytes.begin(), bytes.end());
      return base::Status();
    };
    ASSERT_TRUE(write_recordings(std::span(&recording, 1), sink, compression));
    EXPECT_LT(largest, 2U << 20);
    const auto outcome = decode(whole, "test");
    ASSERT_TRUE(outcome) << outcome.error().message.en;
    ASSERT_EQ(outcome->recordings.size(), 1U);
    EXPECT_EQ(outcome->recordings.front().events.size(), recording.events.size());
  }
}

TEST(Write, what_the_sink_refuses_ends_it) {
  int asked = 0;
  const Sink sink = [&](std::span<const std::uint8_t>) -> base::Status {
    ++asked;
    return base::fail_errno("cannot write x", ENOSPC);
  };
  Recording recording;
  for (int i = 0; i < 40'000; ++i) recording.events.push_back({{}, {}, Note{std::string(200, 'x'), 0}});
  const auto written = write_recordings(std::span(&recording, 1), sink);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message.en, "cannot write x: No space left on device");
  EXPECT_EQ(asked, 1);
}

TEST(Write, an_event_too_large_for_the_form_fails) {
  Recording recording;
  recording.events.push_back({{}, {}, Note{std::string(max_block_bytes, 'x'), 0}});
  const auto bytes = encode(std::span(&recording, 1));
  ASSERT_FALSE(bytes);
  EXPECT_THAT(bytes.error().message.en, HasSubstr("does not fit"));
}

// Every section of one file states the same snapshot length, for libpcap; each recording keeps its own.
TEST(Write, one_snapshot_length_for_the_file) {
  Recording narrow, wide;
  narrow.interfaces.emplace_back().snap_length = 96;
  wide.interfaces.emplace_back().snap_length = 1500;
  const std::vector<Recording> recordings{narrow, wide};
  const auto bytes = encode(recordings);
  ASSERT_TRUE(bytes);
  auto reader = CaptureReader::from_memory(*bytes, "test");
  ASSERT_TRUE(reader);
  for (auto record = reader->next(); record && *record; record = reader->next())
    if (std::holds_alternative<JournalRecord>(**record)) {
      EXPECT_EQ(reader->interfaces()[0].interface.snap_length, 1500U);
    }
  EXPECT_EQ(decoded(*bytes), recordings);
}

// What other programs write

TEST(Decode, a_plain_capture_has_packets_and_no_actors) {
  const auto recordings = decoded(CaptureBuilder().pcap_header().pcap_packet(1, 2, "abc", 9).bytes());
  ASSERT_EQ(recordings.size(), 1U);
  EXPECT_TRUE(recordings[0].actors.empty());
  ASSERT_EQ(recordings[0].events.size(), 1U);
  const auto& packet = std::get<Packet>(recordings[0].events[0].what);
  EXPECT_EQ(packet.original_length, 9U);
  EXPECT_EQ(packet.bytes, (Bytes{'a', 'b', 'c'}));
  EXPECT_EQ(recordings[0].interfaces[0].timestamp_digits, 6);
}

TEST(Decode, journal_entries_of_other_programs_and_unknown_fields_are_skipped) {
  CaptureBuilder builder;
  builder.section().interface();
  builder.journal("__REALTIME_TIMESTAMP=1\nMESSAGE=systemd said\n_PID=1\n");
  builder.journal("__REALTIME_TIMESTAMP=1\nTCPWHY_KIND=of_the_future\nTCPWHY_TEXT=x\n");
  builder.journal("__REALTIME_TIMESTAMP=5\nTCPWHY_KIND=note\nTCPWHY_COLOUR=red\nTCPWHY_TEXT=kept\n");
  const auto recordings = decoded(builder.bytes());
  ASSERT_EQ(recordings.size(), 1U);
  ASSERT_EQ(recordings[0].events.size(), 1U);
  EXPECT_EQ(std::get<Note>(recordings[0].events[0].what).text, "kept");
  EXPECT_EQ(base::to_ns(recordings[0].events[0].at), 5000);
}

TEST(Decode, what_was_read_before_a_cut_is_kept) {
  auto bytes = *encode(std::vector{sample_recording(), sample_recording()});
  bytes.resize(bytes.size() - 2);
  const auto outcome = decode(bytes, "test");
  ASSERT_TRUE(outcome);
  ASSERT_TRUE(outcome->stopped_by);
  EXPECT_THAT(outcome->stopped_by->message.en, HasSubstr("cut in the middle of "));
  ASSERT_EQ(outcome->recordings.size(), 2U);
  EXPECT_EQ(outcome->recordings[0], sample_recording());
  EXPECT_EQ(outcome->recordings[1].events.size(), sample_recording().events.size() - 1);
}

TEST(Decode, stops_where_its_memory_ends) {
  CaptureBuilder builder;
  builder.pcap_header();
  for (int i = 0; i < 1000; ++i) builder.pcap_packet(1, 0, "", 0);
  const auto outcome = decode(builder.bytes(), "test", {.memory_bytes = 1'000'000});
  ASSERT_TRUE(outcome);
  ASSERT_TRUE(outcome->stopped_by);
  EXPECT_GT(outcome->recordings[0].events.size(), 400U);
  EXPECT_LT(outcome->recordings[0].events.size(), 1000U);
}

// The rules that hold whatever the file says

class Rules : public ::testing::Test {
 protected:
  Rules() { builder_.section().interface(); }
  void row(const std::string& fields) { builder_.journal("__REALTIME_TIMESTAMP=7\nTCPWHY_TIME_NS=7000\n" + fields); }
  Recording recording() {
    auto all = decoded(builder_.bytes());
    return all.empty() ? Recording{} : all[0];
  }
  std::uint64_t lost() {
    const auto read = recording();
    if (read.events.empty()) return 0;
    const auto* loss = std::get_if<Loss>(&read.events.back().what);
    return loss == nullptr ? 0 : loss->count;
  }
  CaptureBuilder builder_;
};

TEST_F(Rules, rows_with_members_of_the_wrong_type_are_left_out_and_counted) {
  row("TCPWHY_KIND=call_entered\nTCPWHY_CALL=-1\n");
  row("TCPWHY_KIND=call_entered\nTCPWHY_CALL=99999999999999999999\n");
  row("TCPWHY_KIND=signal\nTCPWHY_FATE=eaten\n");
  row("TCPWHY_KIND=socket_state\nTCPWHY_LOCAL=127.0.0.1\n");
  row("TCPWHY_KIND=socket_state\nTCPWHY_LOCAL=[127.0.0.1]:3\n");
  row("TCPWHY_KIND=socket_state\nTCPWHY_ORPHAN=1\n");
  row("TCPWHY_KIND=note\nTCPWHY_TEXT\n\xff\xff\xff\xff\xff\xff\xff\xffx\n");
  EXPECT_EQ(lost(), 7U);
  EXPECT_EQ(recording().events.size(), 1U);
}

TEST_F(Rules, a_call_is_entered_once_and_returns_once_after_that) {
  row("TCPWHY_KIND=call_returned\nTCPWHY_CALL=1\n");
  row("TCPWHY_KIND=call_entered\nTCPWHY_CALL=1\n");
  row("TCPWHY_KIND=call_entered\nTCPWHY_CALL=1\n");
  row("TCPWHY_KIND=call_returned\nTCPWHY_CALL=1\n");
  row("TCPWHY_KIND=call_returned\nTCPWHY_CALL=1\n");
  const auto read = recording();
  ASSERT_EQ(read.events.size(), 3U);
  EXPECT_TRUE(std::holds_alternative<CallEntered>(read.events[0].what));
  EXPECT_TRUE(std::holds_alternative<CallReturned>(read.events[1].what));
  EXPECT_EQ(lost(), 3U);
}

TEST_F(Rules, large_call_numbers_become_small) {
  row("TCPWHY_KIND=call_entered\nTCPWHY_CALL=4294967295\n");
  row("TCPWHY_KIND=call_entered\nTCPWHY_CALL=4000000000\n");
  row("TCPWHY_KIND=signal\nTCPWHY_NAME=SIGPIPE\nTCPWHY_CALL=4000000000\n");
  row("TCPWHY_KIND=call_returned\nTCPWHY_CALL=4000000000\n");
  const auto read = recording();
  ASSERT_EQ(read.events.size(), 4U);
  EXPECT_EQ(std::get<CallEntered>(read.events[0].what).call, 0U);
  EXPECT_EQ(std::get<CallEntered>(read.events[1].what).call, 1U);
  EXPECT_EQ(std::get<Signal>(read.events[2].what).call, 1U);
  EXPECT_EQ(std::get<CallReturned>(read.events[3].what).call, 1U);
}

TEST_F(Rules, references_to_nothing_are_dropped) {
  row("TCPWHY_KIND=note\nTCPWHY_EVENT=0\nTCPWHY_ACTOR=3\n");
  row("TCPWHY_KIND=signal\nTCPWHY_EVENT=1\nTCPWHY_CALL=3\n");
  row("TCPWHY_KIND=segment_cause\nTCPWHY_EVENT=2\nTCPWHY_PACKET=0\n");
  row("TCPWHY_KIND=segment_cause\nTCPWHY_EVENT=3\nTCPWHY_PACKET=77\n");
  const auto read = recording();
  ASSERT_EQ(read.events.size(), 3U);
  EXPECT_FALSE(read.events[0].actor.valid());
  EXPECT_FALSE(std::get<Signal>(read.events[1].what).call);
  EXPECT_EQ(lost(), 2U);
}

// Words of another program, or of a later version of this one.
TEST_F(Rules, a_word_that_is_no_state_stands_for_one_that_was_not_seen) {
  row("TCPWHY_KIND=socket_state\nTCPWHY_FROM=BOUND\nTCPWHY_TO=CLOSE-WAIT\n");
  row("TCPWHY_KIND=socket_state\nTCPWHY_FROM=ESTABLISHED\nTCPWHY_TO=BOUND\n");
  const auto read = recording();
  ASSERT_EQ(read.events.size(), 2U);
  const auto& first = std::get<SocketState>(read.events[0].what);
  EXPECT_EQ(first.from, tcp::State::not_seen);
  EXPECT_EQ(first.to, tcp::State::close_wait);
  EXPECT_EQ(std::get<SocketState>(read.events[1].what).to, tcp::State::not_seen);
  EXPECT_EQ(message(read, read.events[1]), "none:0 ESTABLISHED -> ?");
}

TEST_F(Rules, what_could_be_observed_is_read_as_far_as_it_is_known) {
  row("TCPWHY_KIND=recording\nTCPWHY_OBSERVED=packets\nTCPWHY_OBSERVED=smells\nTCPWHY_OBSERVED=calls.by_magic\n");
  row("TCPWHY_KIND=note\nTCPWHY_TEXT=x\n");
  const auto read = recording();
  EXPECT_EQ(read.provenance.observed, (Observations{Observation::packets, Observation::calls}));
  EXPECT_TRUE(read.provenance.has_calls());
}

TEST_F(Rules, a_word_that_is_no_trigger_is_one_that_is_not_known) {
  builder_.begin_packet(0, 1, "a", 1).u16(5).u16(8).u64(0).end();
  row("TCPWHY_KIND=segment_cause\nTCPWHY_PACKET=0\nTCPWHY_TRIGGER=process_end\n");
  row("TCPWHY_KIND=segment_cause\nTCPWHY_PACKET=0\nTCPWHY_TRIGGER=interrupt\n");
  const auto read = recording();
  ASSERT_EQ(read.events.size(), 3U);
  EXPECT_EQ(std::get<SegmentCause>(read.events[1].what).trigger, Trigger::process_end);
  EXPECT_EQ(std::get<SegmentCause>(read.events[2].what).trigger, Trigger::unknown);
}

TEST_F(Rules, flags_that_tcpdump_does_not_spell_so_are_none) {
  row("TCPWHY_KIND=segment_dropped\nTCPWHY_FLAGS=F.\n");
  row("TCPWHY_KIND=segment_dropped\nTCPWHY_FLAGS=FIN,ACK\n");
  const auto read = recording();
  ASSERT_EQ(read.events.size(), 2U);
  EXPECT_EQ(std::get<SegmentDropped>(read.events[0].what).flags.bits, 0x11);
  EXPECT_EQ(std::get<SegmentDropped>(read.events[1].what).flags.bits, 0);
}

// A program that leaves packets out (Wireshark's "export specified packets", editcap) keeps the ids: causes stay right.
TEST_F(Rules, references_follow_the_ids_of_the_file) {
  row("TCPWHY_KIND=call_entered\nTCPWHY_EVENT=40\nTCPWHY_CALL=0\n");
  builder_.begin_packet(0, 1, "a", 1).u16(5).u16(8).u64(50).end();
  builder_.begin_packet(0, 1, "b", 1).u16(5).u16(8).u64(60).end();
  row("TCPWHY_KIND=segment_cause\nTCPWHY_EVENT=70\nTCPWHY_PACKET=60\nTCPWHY_BY=40\n");
  const auto read = recording();
  ASSERT_EQ(read.events.size(), 4U);
  const auto& cause = std::get<SegmentCause>(read.events[3].what);
  EXPECT_EQ(cause.packet.value, 2U);
  EXPECT_EQ(cause.by, EventId{0});
}

// docs/FORMAT.md

template <std::size_t... Kind>
std::vector<What> every_kind(std::index_sequence<Kind...>) {
  return {What(std::in_place_index<Kind>)...};
}

TEST(Documentation, has_a_row_for_every_kind_with_every_member) {
  std::ifstream document(std::string(TCPWHY_SOURCE_DIR) + "/docs/FORMAT.md");
  std::map<std::string, std::string> rows;  // by their first column
  for (std::string line; std::getline(document, line);)
    if (line.starts_with("| `")) rows[line.substr(3, line.find('`', 3) - 3)] += line;
  for (const What& what : every_kind(std::make_index_sequence<std::variant_size_v<What>>{})) {
    if (std::holds_alternative<Packet>(what)) continue;
    const std::string& row = rows[std::string(kind_name(what))];
    EXPECT_NE(row, "") << kind_name(what);
    std::visit(
        [&row](const auto& event) {
          if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(event)>, Packet>)
            visit_fields(event, [&row](std::string_view name, const auto&) {
              EXPECT_THAT(row, HasSubstr("`" + std::string(name) + "`"));
            });
        },
        what);
  }
}

TEST(Documentation, names_everything_that_can_be_observed) {
  std::ifstream document(std::string(TCPWHY_SOURCE_DIR) + "/docs/FORMAT.md");
  std::string row;
  while (std::getline(document, row) && !row.starts_with("| `TCPWHY_OBSERVED`")) {
  }
  for (const std::string_view name : observation_names) EXPECT_THAT(row, HasSubstr("`" + std::string(name) + "`"));
}

// Robustness

TEST(Robustness, byte_flips_in_a_recording_decode_to_something_that_encodes_again) {
  std::mt19937 random(7);
  const auto original = *encode(std::vector{sample_recording()});
  for (int round = 0; round < 4000; ++round) {
    Bytes bytes = original;
    for (unsigned flips = random() % 4 + 1; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    const auto outcome = decode(bytes, "test");
    if (!outcome) continue;
    const auto again = encode(outcome->recordings);
    ASSERT_TRUE(again);
    const auto second = decode(*again, "test");
    ASSERT_TRUE(second);
    ASSERT_EQ(second->recordings, outcome->recordings) << "round " << round;
  }
}

}  // namespace
}  // namespace tcpwhy::capfile
