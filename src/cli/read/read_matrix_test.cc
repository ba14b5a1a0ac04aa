// Every option of `tcpwhy read` with everything that it shows, of every kind of input: it changes what is shown, or it is refused with
// words. An option that does nothing would let its user believe that it did.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capfile/capture_builder.h"
#include "capfile/recording/recording_io.h"
#include "cli/testing/program_fixture.h"
#include "wire/packet_builder.h"

namespace tcpwhy::cli {
namespace {

using testing::Program;
using testing::Ran;
using wire::testing::ByteString;

// Packets of raw IP, one a millisecond.
class Packets {
 public:
  void add(const ByteString& packet) { packets_.push_back(packet); }
  void tcp(bool of_client, std::uint16_t port, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack,
           std::size_t length = 0, std::uint16_t window = 512) {
    wire::testing::TcpFields tcp{.seq = seq, .ack = ack, .flags = flags, .window = window};
    tcp.source_port = of_client ? port : 80;
    tcp.destination_port = of_client ? 80 : port;
    wire::testing::Ipv4Fields ip;
    if (!of_client) std::swap(ip.source, ip.destination);
    add(wire::testing::ipv4(ip, wire::testing::tcp(tcp, wire::testing::zeros(length))));
  }
  [[nodiscard]] const std::vector<ByteString>& all() const { return packets_; }

 private:
  std::vector<ByteString> packets_;
};

constexpr std::uint16_t S = 2, A = 16, F = 1, R = 4;

// One with a long run of data, whose server did not read for a while; others that were open at the same time: refused, not answered,
// reset; and one in a Teredo tunnel.
Packets example() {
  Packets p;
  p.tcp(true, 4000, S, 1000, 0), p.tcp(false, 4000, S | A, 5000, 1001), p.tcp(true, 4000, A, 1001, 5001);
  p.tcp(true, 4001, S, 1000, 0), p.tcp(false, 4001, R | A, 0, 1001);
  p.tcp(true, 4002, S, 1000, 0);
  std::uint32_t seq = 1001;
  for (int i = 0; i < 30; ++i, seq += 100) p.tcp(true, 4000, A, seq, 5001, 100), p.tcp(false, 4000, A, 5001, seq + 100);
  p.tcp(true, 4003, S, 1000, 0), p.tcp(false, 4003, S | A, 5000, 1001), p.tcp(true, 4003, A, 1001, 5001);
  p.tcp(true, 4003, A, 1001, 5001, 300), p.tcp(false, 4003, R | A, 5001, 1301);
  p.tcp(false, 4000, A, 5001, seq, 0, 0), p.tcp(false, 4000, A, 5001, seq);
  p.tcp(true, 4000, F | A, seq, 5001), p.tcp(false, 4000, F | A, 5001, seq + 1), p.tcp(true, 4000, A, seq + 1, 5002);
  p.add(wire::testing::ipv4(
      {.protocol = 17},
      wire::testing::udp(3797, 3544,
                         wire::testing::ipv6({}, wire::testing::tcp({.source_port = 4004, .ack = 0, .flags = S})))));
  return p;
}

// What a user may want to see, and of what.
struct Input {
  std::string_view name, command;  // {} stands for the options
};
constexpr Input inputs[] = {{"a capture", "$tcpwhy read capture.pcap {}"},
                            {"a pipe", "cat capture.pcap | $tcpwhy read - {}"},
                            {"several", "$tcpwhy read capture.pcap other.pcap {}"},
                            {"with a filter", "$tcpwhy read {} capture.pcap udp or tcp"},
                            {"a recording", "$tcpwhy read recording.pcapng {}"}};
constexpr std::string_view views[] = {"",
                                      "-o text",
                                      "-o tcpdump",
                                      "-o strace",
                                      "-o json",
                                      "-o findings",
                                      "-o ndjson",
                                      "-o csv",
                                      "-o parquet",
                                      "--table",
                                      "--by client",
                                      "--by ending -o csv",
                                      "--by ending -o json",
                                      "--by ending -o ndjson",
                                      "--stream 0",
                                      "--stream 0 -o json",
                                      "--stream 0 -o tcpdump",
                                      "--compat tshark",
                                      "--compat zeek"};
struct Option {
  std::string_view name, given;
};
constexpr Option options[] = {{"-o", "-o csv"},
                              {"-S", "-S"},
                              {"-e", "-e"},
                              {"-t", "-t"},
                              {"--where", "--where 'client.port=4001'"},
                              {"--table", "--table"},
                              {"--columns", "--columns client,bytes"},
                              {"--sort", "--sort bytes"},  // a column of groups; else `sort_of_connections`
                              {"--top", "--top 1"},
                              {"--by", "--by client.port"},
                              {"--teredo", "--teredo"},
                              {"--threads", "--threads 1"},
                              {"--max-connections", "--max-connections 1"},
                              {"--fail-on", "--fail-on note"},
                              {"--compat", "--compat zeek"},
                              {"--stream", "--stream 1"},
                              {"--conn", "--conn 4001"},
                              {"--calls", "--calls strace.log"},
                              {"--all", "--all"}};
constexpr std::string_view sort_of_connections = "--sort -client.port";

// What has been looked at by a person, and says the same with and without.
bool says_the_same(std::string_view option, std::string_view view, std::string_view input) {
  if (option == "--threads") return true;                                   // as many threads say the same
  if (option == "--teredo" && view.starts_with("--compat")) return true;    // tshark and Zeek look into them unasked
  if (option == "--teredo" && input == "a recording") return true;          // this one has none
  if (option == "--teredo" && view.starts_with("--stream 0")) return true;  // nor has this connection
  if (option == "--teredo" && view == "-o findings") return true;  // nothing is wrong with the one in the tunnel
  if (option == "-o" && view == "-o csv") return true;
  // The long connection has its place there, though others take it meanwhile; and those of the recording were never open together.
  return option == "--max-connections" && (view.starts_with("--stream 0") || input == "a recording");
}

class ReadMatrix : public Program {
 protected:
  void SetUp() override {
    const Packets packets = example();
    save("capture.pcap", packets, 0);
    save("other.pcap", packets, 100);
    std::ofstream(file("strace.log"))
        << "100 0.000001 connect(3<TCP:[192.0.2.1:4000->198.51.100.7:80]>, "
           "{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"198.51.100.7\")}, "
           "16) = 0 <0.002>\n";
    record(packets);
    std::error_code error;
    std::filesystem::create_symlink(TCPWHY_TEST_PROGRAMS "/duckdb_stand_in_library.so", file("libduckdb.so"), error);
  }

  Ran run(const Input& input, const std::string& given) {
    return sh(fmt::format("cd {}; export LD_LIBRARY_PATH=.; {}", folder_.string(),
                          fmt::format(fmt::runtime(input.command), given)));
  }

 private:
  void save(const std::string& name, const Packets& packets, std::uint32_t second) {
    capfile::testing::CaptureBuilder built;
    built.pcap_header(0xa1b2c3d4, 101);
    std::uint32_t ms = 0;
    for (const ByteString& packet : packets.all()) {
      built.pcap_packet(second, 1000 * ms++, std::string(packet.begin(), packet.end()),
                        static_cast<std::uint32_t>(packet.size()));
    }
    const auto& bytes = built.bytes();
    std::ofstream(file(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  // The same packets as tcpwhy records them: with calls, and of more connections than are shown in full unasked.
  void record(const Packets& packets) {
    recording::Recording made;
    made.provenance.program = "tcpwhy 0.1.0";
    made.provenance.observed = {recording::Observation::packets, recording::Observation::calls};
    made.interfaces.push_back({wire::LinkType::raw, 262144, "any", "", "", 9});
    made.actors = {{"client", 101, 101, "client", "client"}};
    std::int64_t ns = 1'700'000'000'000'000'000;
    const auto add = [&](recording::ActorId actor, recording::What what) {
      made.events.push_back({base::wall_from_ns(ns += 1'000'000), actor, std::move(what)});
    };
    recording::CallEntered entered;
    entered.name = "socket", entered.arguments = "AF_INET, SOCK_STREAM, 0";
    add({0}, entered);
    recording::CallReturned returned;
    returned.result = 3;
    add({0}, returned);
    const auto seen = [&](const ByteString& bytes) {
      recording::Packet packet;
      packet.bytes = {bytes.begin(), bytes.end()};
      packet.original_length = static_cast<std::uint32_t>(bytes.size());
      add({}, packet);
    };
    for (const ByteString& packet : packets.all()) seen(packet);
    std::ofstream out(file("recording.pcapng"), std::ios::binary);
    const auto written = capfile::write_recordings({&made, 1}, [&out](std::span<const std::uint8_t> bytes) {
      out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      return base::Status();
    });
    ASSERT_TRUE(written);
  }
};

// Whether the option, or another of which there may be but one, is in the view already.
bool has_it_already(std::string_view view, std::string_view option) {
  return view.find(option) != std::string_view::npos || (option == "--conn" && view.starts_with("--stream"));
}

// Whether the error speaks of one of the options that were given.
bool names_one_of(std::string_view error, std::string_view given) {
  if (error.find("one connection is shown as") != std::string_view::npos)
    return given.find("-o ") != std::string_view::npos;
  for (const Option& option : options) {
    const std::string_view long_name = option.name == "-o" ? "--output" : option.name;
    if (given.find(option.name) == std::string_view::npos) continue;
    if (error.find(option.name) != std::string_view::npos || error.find(long_name) != std::string_view::npos)
      return true;
  }
  return false;
}

TEST_F(ReadMatrix, each_option_changes_what_is_shown_or_is_refused) {
  std::map<std::string_view, int> honoured, refused;
  for (const Input& input : inputs) {
    for (const std::string_view view : views) {
      const Ran without = run(input, std::string(view));
      if (without.status == 2) {
        EXPECT_NE(without.err.find("takes one file, and no filter"), std::string::npos)
            << input.name << view << without.err;
        continue;
      }
      EXPECT_EQ(without.status, 0) << input.name << ": " << view << without.err;
      for (const Option& option : options) {
        if (has_it_already(view, option.name)) continue;
        const bool of_groups = view.starts_with("--by");
        std::string given(option.name == "--sort" && !of_groups ? sort_of_connections : option.given);
        // Several threads share the room, and which connections are whose is chance.
        if (option.name == "--max-connections" && !view.starts_with("--stream")) given += " --threads 1";
        const Ran with = run(input, fmt::format("{} {}", view, given));
        const std::string what = fmt::format("read {} {} of {}", view, given, input.name);
        if (with.status == 2) {
          ++refused[option.name];
          const bool lists = with.err.find("connections have an end") != std::string::npos;  // --conn, of several
          EXPECT_TRUE(with.out.empty() || lists) << what;
          EXPECT_NE(with.err.find("tcpwhy: hint: "), std::string::npos) << what << with.err;
          EXPECT_TRUE(lists || names_one_of(with.err, fmt::format("{} {}", view, given))) << what << with.err;
          continue;
        }
        if (says_the_same(option.name, view, input.name)) continue;
        ++honoured[option.name];
        EXPECT_FALSE(with.out == without.out && with.status == without.status)
            << what << ": says the same as without it, and no word on why\n"
            << with.out.substr(0, 2000);
      }
    }
  }
  for (const Option& option : options) {
    EXPECT_TRUE(honoured[option.name] > 0 || option.name == "--threads") << option.name << " never does anything";
    EXPECT_GT(refused[option.name], 0) << option.name << " is never refused";
  }
}

// How text looks: they say nothing where there is none, as the environment does not either.
TEST_F(ReadMatrix, settings_go_with_everything) {
  for (const Input& input : inputs)
    for (const std::string_view view : views) {
      const int without = run(input, std::string(view)).status;
      EXPECT_EQ(run(input, fmt::format("{} --lang zh --color always --width 90", view)).status, without)
          << input.name << view;
    }
}

TEST_F(ReadMatrix, what_a_refusal_says) {
  const auto refusal = [this](const std::string& given) {
    const Ran ran = run(inputs[0], given);
    EXPECT_EQ(ran.status, 2) << given;
    return ran.err;
  };
  EXPECT_EQ(
      refusal("-o strace --where reset"),
      "tcpwhy: error: read: --where says nothing of what is shown here (-o strace)\n"
      "tcpwhy: hint: --where goes with the summary, --table, --by, -o findings of a capture, -o csv|ndjson|parquet, "
      "--by with -o csv|ndjson|json\n");
  EXPECT_NE(refusal("-o csv --sort -bytes").find("--sort with -o csv needs --top N"), std::string::npos);
  EXPECT_NE(refusal("--fields --where reset").find("--where says nothing"), std::string::npos);
}

// ---- what was promised of some pairs

TEST_F(ReadMatrix, records_are_sorted_and_the_first_of_them_kept) {
  const Ran ran = run(inputs[0], "-o csv --columns stream,client.port --sort -client.port --top 2");
  EXPECT_EQ(ran.out, "stream,client_port\n3,4003\n2,4002\n") << ran.err;
  EXPECT_EQ(run(inputs[0], "-o csv --columns client.port --top 2").out, "client_port\n4000\n4001\n");
}

// Records that are written while it is read have no number yet: who asks for it gets them when it is known.
TEST_F(ReadMatrix, records_have_the_number_of_their_connection_where_it_is_asked_for) {
  const Ran ran = run(inputs[0], "-o csv --columns stream,client.port");
  EXPECT_EQ(ran.out, "stream,client_port\n0,4000\n1,4001\n2,4002\n3,4003\n") << ran.err;
  EXPECT_EQ(run(inputs[0], "-o ndjson --columns stream").out.find("null"), std::string::npos);
}

TEST_F(ReadMatrix, a_recording_is_a_capture_too_where_connections_are_asked_for) {
  const Ran ran = run(inputs[4], "--where 'client.port=4001'");
  EXPECT_NE(ran.out.find("\n1 of 4 connections, "), std::string::npos) << ran.out << ran.err;
}

TEST_F(ReadMatrix, nothing_fits) {
  EXPECT_NE(run(inputs[0], "--where client=203.0.113.9").out.find("\n0 of 4 connections\n"), std::string::npos);
  EXPECT_NE(run(inputs[0], "--where client=203.0.113.9 --table").out.find("\n0 of 4 connections\n"), std::string::npos);
  EXPECT_NE(run(inputs[0], "--where client=203.0.113.9 --table --lang zh").out.find("\n4 个连接中的 0 个\n"),
            std::string::npos);
  EXPECT_NE(run(inputs[0], "--where client=203.0.113.9 -o csv").err.find("--where holds for 0 of 4 connections"),
            std::string::npos);
  EXPECT_EQ(run(inputs[0], "--where client=192.0.2.1 -o csv").err, "");
}

TEST_F(ReadMatrix, a_second_file_that_is_missing_is_missed) {
  const Ran ran = run({"", "$tcpwhy read capture.pcap {}"}, "missing.pcap");
  EXPECT_EQ(ran.status, 3);
  EXPECT_EQ(ran.err,
            "tcpwhy: error: missing.pcap: No such file or directory\n"
            "tcpwhy: hint: check the path; - reads standard input\n");
  EXPECT_EQ(run(inputs[0], "missing").status, 3);
  EXPECT_EQ(run(inputs[0], "tcp").status, 0);
}

TEST_F(ReadMatrix, the_list_of_fields_has_their_values) {
  const Ran ran = sh("$tcpwhy read --fields --width 80");
  EXPECT_EQ(ran.status, 0);
  EXPECT_NE(ran.out.find("closed.by               who closed first, by FIN or reset [client, server]\n"),
            std::string::npos)
      << ran.out;
  EXPECT_NE(ran.out.find("capture.reset.unread_data"), std::string::npos);
  EXPECT_NE(ran.out.find("\n--by takes              client, server"), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace tcpwhy::cli
