// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import {ITopics} from "../Topics.sol";

/// @title ReadsTopic
/// @notice A switch that follows a forecast: it is on when the topic's network inference is above a
/// threshold, off when it is below, and stays as it is while the forecast does not know. "Above" and
/// "below" are said by the whole central 95 % of the forecast, not by its middle; an old or a vague
/// forecast moves nothing.
/// @dev Numbers are `q64`: an `int128` that holds a number times 2^64.
contract ReadsTopic {
    ITopics public constant TOPICS = ITopics(0x4841000000000000000000000000000000000005);
    // Places of the percentiles 2.28 and 97.72 in `Inference.percentiles`.
    uint256 private constant LOW = 0;
    uint256 private constant HIGH = 4;

    uint256 public immutable topic;
    // Oldest forecast that is acted on, in milliseconds.
    uint64 public immutable maxAgeMs;
    // Widest central 95 % that is acted on (q64).
    int128 public immutable maxWidth;
    int128 public immutable threshold;

    bool public on;
    // Epoch of the forecast that was acted on last.
    uint64 public epoch;

    /// @notice The forecast was heeded; `on` is where the switch stands now.
    event Decided(uint64 indexed epoch, int128 value, int128 low, int128 high, uint64 ageMs, bool on);

    /// @notice The topic has no inference yet.
    error NoInference(uint256 topic);
    /// @notice The forecast is too old, both in milliseconds.
    error Stale(uint64 ageMs, uint64 maxAgeMs);
    /// @notice The forecast is too vague (q64).
    error TooUncertain(int256 width, int256 maxWidth);

    constructor(uint256 topic_, uint64 maxAgeMs_, int128 maxWidth_, int128 threshold_) {
        topic = topic_;
        maxAgeMs = maxAgeMs_;
        maxWidth = maxWidth_;
        threshold = threshold_;
    }

    /// @notice Reads the latest forecast and acts on it; anyone may call.
    function act() external {
        (ITopics.Inference memory latest, uint64 ageMs) = TOPICS.latest(topic);
        if (latest.epoch == 0) revert NoInference(topic);
        if (ageMs > maxAgeMs) revert Stale(ageMs, maxAgeMs);
        int128 low = latest.percentiles[LOW];
        int128 high = latest.percentiles[HIGH];
        int256 width = int256(high) - int256(low);
        if (width > maxWidth) revert TooUncertain(width, maxWidth);
        if (low > threshold) on = true;
        if (high < threshold) on = false;
        epoch = latest.epoch;
        emit Decided(latest.epoch, latest.value, low, high, ageMs, on);
    }
}
