// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>

#include "identify/example_hello.h"
#include "identify/initial_builder.h"
#include "identify/initial_packet.h"
#include "identify/quic_vectors.h"

namespace limpid {
namespace {

const Identity example{Application::quic, "example.com", "h3"};
const Finding unfinished = Finding::more(0, Application::quic);
const Finding nameless = Finding::without_host(Application::quic);

ByteVector from_hex(std::string_view text) {
  ByteVector bytes;
  for (std::size_t at = 0; at < text.size(); at += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(text.substr(at, 2)), nullptr, 16)));
  return bytes;
}

ByteVector example_hello(std::size_t share = 32) {
  return client_hello({key_share(share), server_name("example.com"), alpn({"h3"})});
}

ByteVector piece(const ByteVector& message, std::size_t begin, std::size_t end) {
  return crypto_frame(begin, Bytes(message).subspan(begin, end - begin));
}

// To the size that every first datagram has.
ByteVector padded(ByteVector frames) {
  frames.resize(std::max<std::size_t>(frames.size(), 1150));
  return frames;
}

ByteVector initial(const ByteVector& frames, const InitialFields& fields = {}) {
  return build_initial(fields, padded(frames));
}

Finding only(const ByteVector& datagram) { return DatagramIdentifier().add(datagram); }

TEST(DatagramIdentifier, ReadsThePacketOfRfc9001) {
  const Finding finding = only(from_hex(rfc9001_client_initial));
  EXPECT_EQ(finding, Finding::of({Application::quic, "example.com", "alpn"}));
}

TEST(DatagramIdentifier, ReadsThePacketOfRfc9369) {
  const Finding finding = only(from_hex(rfc9369_client_initial));
  EXPECT_EQ(finding, Finding::of({Application::quic, "example.com", "alpn"}));
}

TEST(DatagramIdentifier, BuilderMakesThePacketOfRfc9001) {
  const ByteVector packet = from_hex(rfc9001_client_initial);
  const auto header = read_long_header(packet);
  ASSERT_TRUE(header);
  const InitialKeys keys = InitialKeys::of_client(header->version, header->destination_id);
  const auto opened = OpenedPacket::open(keys, *header, packet, 0);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->number(), 2U);
  ByteVector built = build_initial({.number = 2}, opened->payload());
  EXPECT_EQ(built, packet);
}

TEST(DatagramIdentifier, IsNotItOnceOneBitIsDamaged) {
  for (const std::string_view vector : {rfc9001_client_initial, rfc9369_client_initial}) {
    const ByteVector good = from_hex(vector);
    for (std::size_t at = 0; at < good.size(); at += at < 30 ? 1 : 37) {
      ByteVector bad = good;
      bad[at] ^= 1;
      EXPECT_EQ(only(bad), Finding::none()) << at;
    }
    ByteVector bad = good;
    bad.back() ^= 0x80;  // of the tag
    EXPECT_EQ(only(bad), Finding::none());
  }
}

TEST(DatagramIdentifier, IsNotItWhenCutOffOrOfAnotherVersion) {
  const ByteVector good = from_hex(rfc9001_client_initial);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(DatagramIdentifier().add(Bytes(good).first(size)), Finding::none()) << size;
  for (const std::uint32_t version : {0U, 2U, 0xff00001dU, 0x1a2a3a4aU, 0x6b3343ceU}) {
    ByteVector other = good;
    for (std::size_t byte = 0; byte < 4; ++byte)
      other[1 + byte] = static_cast<std::uint8_t>(version >> (24 - 8 * byte));
    EXPECT_EQ(only(other), Finding::none());
  }
}

TEST(DatagramIdentifier, FindsAHelloSpreadOverDatagramsInAnyOrder) {
  const ByteVector hello = example_hello(1800);
  std::vector<ByteVector> frames = {piece(hello, 1500, hello.size()), piece(hello, 0, 3), piece(hello, 3, 700),
                                    piece(hello, 650, 1510)};
  std::ranges::sort(frames);
  do {
    DatagramIdentifier identifier;
    for (std::size_t datagram = 0; datagram < frames.size(); ++datagram) {
      const Finding finding =
          identifier.add(initial(frames[datagram], {.number = static_cast<std::uint32_t>(datagram)}));
      EXPECT_EQ(finding, datagram + 1 < frames.size() ? unfinished : Finding::of(example));
    }
    EXPECT_EQ(identifier.add(bytes_of("anything")), Finding::of(example));
  } while (std::ranges::next_permutation(frames).found);
}

TEST(DatagramIdentifier, FindsAHelloInManySmallFramesAmongOthers) {
  std::mt19937 random(4);
  const ByteVector hello = example_hello();
  std::vector<ByteVector> frames = {
      {1}, ByteVector(40), {2, 5, 0, 1, 2, 0, 0}, {3, 5, 0, 0, 2, 1, 1, 1}, {0x1c, 0, 0, 3, 'b', 'y', 'e'}};
  for (std::size_t at = 0; at < hello.size(); at += 7)
    frames.push_back(piece(hello, at, std::min(at + 7, hello.size())));
  for (int round = 0; round < 20; ++round) {
    std::ranges::shuffle(frames, random);
    ByteVector payload;
    for (const ByteVector& frame : frames) append(payload, frame);
    EXPECT_EQ(only(initial(payload)), Finding::of(example));
  }
}

TEST(DatagramIdentifier, KeepsTheFirstKeys) {
  const ByteVector hello = example_hello(1500);
  DatagramIdentifier identifier;
  EXPECT_EQ(identifier.add(initial(piece(hello, 0, 1000))), unfinished);
  // The server has chosen an ID; the keys stay (RFC 9001, 5.2).
  const InitialKeys keys = InitialKeys::of_client(QuicVersion::v1, InitialFields().destination_id);
  const InitialFields chosen{.destination_id = {1, 2, 3, 4}, .token = {}, .number = 1};
  EXPECT_EQ(identifier.add(build_initial(keys, chosen, padded(piece(hello, 1000, hello.size())))),
            Finding::of(example));
}

TEST(DatagramIdentifier, TakesNewKeysAfterARetry) {
  const ByteVector hello = example_hello(1500);
  DatagramIdentifier identifier;
  EXPECT_EQ(identifier.add(initial(piece(hello, 0, 1000))), unfinished);
  const InitialFields again{.destination_id = {9, 8, 7}, .token = ByteVector(60, 0x77), .number = 1};
  EXPECT_EQ(identifier.add(initial(piece(hello, 1000, hello.size()), again)), Finding::of(example));
}

TEST(DatagramIdentifier, ReadsCoalescedPackets) {
  const ByteVector hello = example_hello();
  ByteVector datagram = build_initial({}, piece(hello, 0, 100));
  ByteVector zero_rtt = {0xd0, 0, 0, 0, 1, 8, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 20};
  zero_rtt.resize(zero_rtt.size() + 20, 0x99);
  append(datagram, zero_rtt);
  append(datagram, build_initial({.number = 1}, padded(piece(hello, 100, hello.size()))));
  EXPECT_EQ(only(datagram), Finding::of(example));

  DatagramIdentifier identifier;
  EXPECT_EQ(identifier.add(zero_rtt), Finding::more(0));  // it was faster than the Initial
  EXPECT_EQ(identifier.add(initial(piece(hello, 0, hello.size()))), Finding::of(example));
}

TEST(DatagramIdentifier, IgnoresPacketsOfOtherConnectionsInADatagram) {
  const ByteVector hello = example_hello();
  ByteVector datagram = build_initial({}, piece(hello, 0, 100));
  append(datagram, initial(piece(hello, 100, hello.size()), {.destination_id = ByteVector(8, 1)}));
  EXPECT_EQ(only(datagram), unfinished);
}

TEST(DatagramIdentifier, ReadsNumbersOfAnySize) {
  DatagramIdentifier identifier;
  const ByteVector hello = example_hello(1500);
  EXPECT_EQ(identifier.add(initial(piece(hello, 0, 1000), {.number = 0x7fffffff})), unfinished);
  EXPECT_EQ(identifier.add(initial(piece(hello, 1000, hello.size()), {.number = 0x80000000})), Finding::of(example));
}

TEST(DatagramIdentifier, IgnoresWhatIsDamagedOrNotQuicBetweenInitials) {
  const ByteVector hello = example_hello(1500);
  DatagramIdentifier identifier;
  EXPECT_EQ(identifier.add(initial(piece(hello, 0, 1000))), unfinished);
  ByteVector damaged = initial(piece(hello, 1000, hello.size()), {.number = 1});
  damaged.back() ^= 1;
  EXPECT_EQ(identifier.add(damaged), unfinished);
  EXPECT_EQ(identifier.add(bytes_of("@ short header")), unfinished);
  EXPECT_EQ(identifier.add({}), unfinished);
  EXPECT_EQ(identifier.add(initial(piece(hello, 1000, hello.size()), {.number = 2})), Finding::of(example));
}

TEST(DatagramIdentifier, DoesNotWaitForANinthDatagram) {
  const ByteVector hello = example_hello(1500);
  DatagramIdentifier identifier;
  for (int datagram = 0; datagram < most_datagrams - 1; ++datagram)
    EXPECT_EQ(identifier.add(initial(piece(hello, 0, 1000))), unfinished);
  EXPECT_EQ(identifier.add(initial(piece(hello, 0, 1000))), nameless);
  EXPECT_EQ(identifier.add(initial(piece(hello, 1000, hello.size()))), nameless);

  DatagramIdentifier last;
  for (int datagram = 0; datagram < most_datagrams - 1; ++datagram)
    EXPECT_EQ(last.add(initial(piece(hello, 0, 1000))), unfinished);
  EXPECT_EQ(last.add(initial(piece(hello, 1000, hello.size()))), Finding::of(example));
}

TEST(DatagramIdentifier, IsQuicWithoutAHostWhenItsHelloCannotBeTrusted) {
  const ByteVector hello = example_hello();
  ByteVector other = hello;
  other[other.size() - 10] ^= 1;
  ByteVector twice = piece(other, 50, other.size());
  append(twice, piece(hello, 0, hello.size()));
  EXPECT_EQ(only(initial(twice)), nameless);
  EXPECT_EQ(only(initial(crypto_frame(0, bytes_of("\x02no ClientHello")))), nameless);
  EXPECT_EQ(only(initial(crypto_frame(0, ByteVector{1, 0, 0xff, 0xff}))), nameless);  // too long
}

TEST(DatagramIdentifier, ReadsNothingBehindAFrameThatNoInitialHolds) {
  const ByteVector hello = example_hello();
  ByteVector frames{0x08, 0};  // STREAM
  append(frames, piece(hello, 0, hello.size()));
  EXPECT_EQ(only(initial(frames)), unfinished);
  EXPECT_EQ(only(initial({2, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0})), unfinished);  // 2^62 ranges
}

TEST(DatagramIdentifier, TakesOtherTalkForUnknown) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    ByteVector bytes(round % 2 == 0 ? 1200 : 65535);
    std::ranges::generate(bytes, [&random] { return static_cast<std::uint8_t>(random()); });
    if (round % 3 == 0) std::ranges::copy(ByteVector{0xc0, 0, 0, 0, 1, 8}, bytes.begin());
    EXPECT_EQ(only(bytes), Finding::none());
  }
  EXPECT_EQ(only({}), Finding::none());
}

}  // namespace
}  // namespace limpid
