// What `tcpwhy read` shows where it could not read all: a signal came, nobody reads its output, the input ends in the middle.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <string>

#include "capfile/capture_builder.h"
#include "cli/testing/program_fixture.h"
#include "wire/packet_builder.h"

namespace tcpwhy::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Program;
using testing::Ran;

class ReadStop : public Program {
 protected:
  void SetUp() override {
    capfile::testing::CaptureBuilder capture;
    capture.pcap_header(0xa1b2c3d4, 101);
    for (std::uint16_t i = 0; i < syns; ++i) {
      const auto packet = wire::testing::ipv4(
          {}, wire::testing::tcp({.source_port = static_cast<std::uint16_t>(1000 + i), .ack = 0, .flags = 2}));
      capture.pcap_packet(i, 0, std::string(packet.begin(), packet.end()), static_cast<std::uint32_t>(packet.size()));
    }
    const auto& bytes = capture.bytes();
    std::ofstream(file("whole.pcap"), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  // A shell's words: the program reads from a FIFO, which is open as 9, and has got ready for signals.
  [[nodiscard]] std::string reading_fifo(const std::string& options) const {
    return fmt::format(
        "cd {}; rm -f fifo; mkfifo fifo; $tcpwhy read fifo {} & pid=$!; exec 9>fifo; "
        "head -c 24 whole.pcap >&9; n=0; "  // the header: it looks at the first bytes before
        "until grep -q '^SigCgt:.*[4567cdef]...$' /proc/$pid/status || [ $n -gt 1000 ]; "  // SIGTERM
        "do sleep 0.01; n=$((n+1)); done; ",
        folder_.string(), options);
  }
  // The signal comes when it has got `bytes` of the capture, and waits for more.
  Ran stopped(const std::string& options, std::size_t bytes) {
    return sh(fmt::format("{}head -c {} whole.pcap | tail -c +25 >&9; kill -TERM $pid; wait $pid",
                          reading_fifo(options), bytes));
  }

  static constexpr std::uint16_t syns = 500;
  static constexpr std::size_t header = 24, record = 16 + 40;
};

TEST_F(ReadStop, a_signal_shows_what_was_read_until_then_and_says_that_it_is_not_all) {
  const auto ran = stopped("", header + 300 * record + 20);
  EXPECT_EQ(ran.status, 128 + SIGTERM) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("Not the whole capture: a signal ended the reading"));
  EXPECT_THAT(ran.out, HasSubstr("\n300 packets, 300 of them TCP"));
  EXPECT_THAT(ran.err, HasSubstr("tcpwhy: warning: not the whole capture: SIGTERM ended the reading"));
  EXPECT_THAT(ran.err, Not(HasSubstr("error"))) << "it is not damaged";
  EXPECT_THAT(stopped("--lang zh", header + 300 * record).out, HasSubstr("并非整个抓包：读取被信号中止"));
}

TEST_F(ReadStop, in_every_form) {
  struct Case {
    const char *options, *shown;
  };
  for (const auto& [options, shown] :
       {Case{"--table --top 400", "192.0.2.1:1299"}, Case{"--by server", "300 connections, one group"},
        Case{"-o csv", "192.0.2.1:1299"}, Case{"-o ndjson", "192.0.2.1:1299"},
        Case{"--by server -o json", "\"capture\": \"stopped\""}, Case{"-o tcpdump", "192.0.2.1.1299"},
        Case{"--compat tshark", "299"}, Case{"--compat zeek", "1299"}, Case{"--stream 7", "192.0.2.1:1007"},
        Case{"--stream 400", ""}, Case{"--threads 3 -o csv", "192.0.2.1:1299"}}) {
    const auto ran = stopped(options, header + 300 * record + 20);
    EXPECT_EQ(ran.status, 128 + SIGTERM) << options << ran.err;
    EXPECT_THAT(ran.out, HasSubstr(shown)) << options;
    EXPECT_THAT(ran.err, HasSubstr("not the whole capture")) << options;
    EXPECT_THAT(ran.err, Not(HasSubstr("error"))) << options << ": neither damaged nor without that connection";
  }
}

// Ctrl-C goes to all of a pipeline: who writes has its last packets yet to write, and they are read.
TEST_F(ReadStop, of_a_pipe_the_last_bytes_are_waited_for) {
  const auto ran = sh(reading_fifo("") + "kill -TERM $pid; tail -c +25 whole.pcap >&9; exec 9>&-; wait $pid");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\n500 packets, 500 of them TCP"));
  EXPECT_THAT(ran.out, Not(HasSubstr("Not the whole")));
  EXPECT_EQ(ran.err, "");
}

TEST_F(ReadStop, further_signals_end_it_at_once) {
  const auto ran = sh(reading_fifo("") + "while kill -TERM $pid 2>/dev/null; do sleep 0.01; done; wait $pid");
  EXPECT_EQ(ran.status, 128 + SIGTERM);
  EXPECT_EQ(ran.out, "");
}

TEST_F(ReadStop, an_input_that_ends_in_the_middle_is_shown_so_far) {
  const std::string half =
      fmt::format("head -c {} {} | $tcpwhy read - ", header + 300 * record + 20, file("whole.pcap"));
  const auto ran = sh(half);
  EXPECT_EQ(ran.status, 3);
  EXPECT_THAT(ran.out, HasSubstr("Not the whole capture: it is cut or damaged"));
  EXPECT_THAT(ran.out, HasSubstr("\n300 packets, 300 of them TCP"));
  EXPECT_THAT(ran.err, HasSubstr("cut in the middle of a packet"));
  EXPECT_THAT(sh(half + "--table").out, HasSubstr("Not the whole capture"));
  EXPECT_THAT(sh(half + "--by server").out, HasSubstr("Not the whole capture"));
  EXPECT_THAT(sh(half + "--lang zh").out, HasSubstr("并非整个抓包：文件被截断或损坏"));
  const auto csv = sh(half + "-o csv");
  EXPECT_EQ(csv.status, 3);
  EXPECT_EQ(std::ranges::count(csv.out, '\n'), 301);
  EXPECT_THAT(sh("$tcpwhy read " + file("whole.pcap")).out, Not(HasSubstr("Not the whole")));
}

// Records go out as connections end; here all do at the end, and the input is without one.
TEST_F(ReadStop, reading_ends_when_nobody_reads_the_output) {
  const auto endless =
      write("endless.sh", fmt::format("cat {0}; while tail -c +25 {0}; do :; done 2>/dev/null", file("whole.pcap")));
  const auto ran = sh(fmt::format(
      "sh {} | {{ timeout 20 $tcpwhy read - -o csv --max-connections 5; echo status $? >&2; }} | head -n 1", endless));
  EXPECT_EQ(ran.err, "status 0\n");
  EXPECT_EQ(std::ranges::count(ran.out, '\n'), 1);
}

}  // namespace
}  // namespace tcpwhy::cli
