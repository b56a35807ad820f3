// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title IStaking, at 0x4841000000000000000000000000000000000001
/// @notice Stake, rewards and slashes of validators, and the validator set of every epoch.
/// @dev Amounts are wei, parts are in 1/10000. Epoch `e` has the blocks `e * epochBlocks` to
/// `(e + 1) * epochBlocks - 1`. Validators are numbered from 1. docs/staking.md tells the rules.
interface IStaking {
    struct Params {
        uint64 epochBlocks;
        // Least stake of the operator itself.
        uint256 minStake;
        uint16 maxValidators;
        uint32 unbondingEpochs;
        uint32 evidenceEpochs;
        uint32 trustingEpochs;
        uint32 commissionDelayEpochs;
        uint16 maxCommissionBps;
        uint32 jailEpochs;
        uint16 slashBps;
        uint16 reporterBps;
    }

    struct Validator {
        uint64 id;
        address operator;
        // Gets the commission; beneficiary of the blocks.
        address payout;
        bytes32 publicKey;
        // host:port; empty if it does not say.
        string p2p;
        uint16 commissionBps;
        // A raise that waits: from the beginning of this epoch; zero if there is none.
        uint16 nextCommissionBps;
        uint64 nextCommissionEpoch;
        // All stake behind it, its shares, and what the operator's own shares are worth.
        uint256 stake;
        uint256 shares;
        uint256 ownStake;
        // Chosen from for the coming sets.
        bool candidate;
        // May not be a candidate before this epoch; zero if it never was jailed.
        uint64 jailedUntil;
        uint32 slashes;
    }

    struct Member {
        uint64 validator;
        bytes32 publicKey;
        address payout;
        // When the set was frozen.
        uint256 stake;
    }

    struct Exit {
        uint64 validator;
        // Free from the beginning of this epoch.
        uint64 freeEpoch;
        // What it is worth now; a slash makes it less.
        uint256 amount;
    }

    /// @notice A validator was registered.
    event Registered(uint64 indexed validator, address indexed operator, bytes32 publicKey);
    event Staked(uint64 indexed validator, address indexed account, uint256 amount, uint256 shares);
    event Unstaked(
        uint64 indexed validator,
        address indexed account,
        uint256 amount,
        uint256 shares,
        uint64 freeEpoch
    );
    event Withdrawn(address indexed account, uint256 amount);
    event CommissionChanged(uint64 indexed validator, uint16 commissionBps, uint64 fromEpoch);
    event KeyChanged(uint64 indexed validator, bytes32 publicKey);
    event ProfileChanged(uint64 indexed validator, address payout, string p2p);
    /// @notice It is chosen from for the coming sets, or not any more.
    event CandidacyChanged(uint64 indexed validator, bool candidate);
    event Slashed(
        uint64 indexed validator,
        bytes32 indexed publicKey,
        uint64 indexed epoch,
        uint256 amount,
        address reporter,
        uint256 reward
    );
    event Jailed(uint64 indexed validator, uint64 untilEpoch);
    /// @notice The set of an epoch is decided.
    event SetFrozen(uint64 indexed epoch, uint16 validators, uint256 stake);

    error UnknownValidator(uint64 validator);
    /// @notice The caller operates no validator.
    error NotOperator(address caller);
    error AlreadyOperator(uint64 validator);
    /// @notice The key is or was some validator's.
    error KeyTaken(bytes32 publicKey);
    /// @notice The key is no usable ed25519 key, or the signature is not its proof of possession.
    error BadPossession();
    error InvalidCommission(uint16 most);
    /// @notice Not host:port of at most 255 bytes.
    error InvalidAddress();
    /// @notice The payout account is zero or the protocol's.
    error InvalidPayout();
    error StakeTooSmall(uint256 stake, uint256 needed);
    error ZeroAmount();
    error InsufficientShares(uint256 shares, uint256 needed);
    error NothingToWithdraw();
    error ValidatorJailed(uint64 untilEpoch);
    /// @notice The key voted twice; the validator needs another.
    error KeyTombstoned(bytes32 publicKey);
    /// @notice All places are taken by more stake.
    error NoPlace(uint256 needed);
    error MalformedEvidence();
    /// @notice The votes are of an epoch from which evidence is not taken, any more or yet.
    error EvidenceOutOfWindow(uint64 epoch);
    /// @notice The key is not in the set of the epoch.
    error NotInSet(bytes32 publicKey, uint64 epoch);
    error BadSignature();

    /// @notice Registers the caller as operator of a new validator with the stake that is paid in.
    /// @param possession ed25519 signature by the key of: 0x1d, "hallmark/staking/possession/1",
    /// chain id (8 bytes, big endian), operator (20 bytes).
    function bond(
        bytes32 publicKey,
        bytes calldata possession,
        address payout,
        uint16 commissionBps,
        string calldata p2p
    ) external payable returns (uint64 validator);

    /// @notice Adds the stake that is paid in; the operator adds to its own in the same way.
    function delegate(uint64 validator) external payable returns (uint256 shares);

    /// @notice Takes stake out; it waits for `unbondingEpochs` and can be slashed meanwhile.
    function undelegate(uint64 validator, uint256 shares) external;

    /// @notice Pays the caller's commissions and rewards of reports, and up to 32 exits whose wait is over.
    function withdraw() external returns (uint256 amount);

    /// @notice A raise waits for `commissionDelayEpochs`, a cut does not.
    function setCommission(uint16 commissionBps) external;
    function setProfile(address payout, string calldata p2p) external;

    /// @notice Gives the validator another key from the next set on. The old one stays answerable.
    function rotateKey(bytes32 publicKey, bytes calldata possession) external;

    /// @notice Makes the validator a candidate again: after a jail, after `leave`, or after others
    /// with more stake took its place.
    function join() external;

    /// @notice The validator is no candidate any more; it serves the sets that are frozen.
    function leave() external;

    /// @notice Proves that a key voted twice. Slashes, jails, and credits the caller.
    /// @param evidence its encoding is in docs/staking.md.
    function submitEvidence(bytes calldata evidence) external returns (uint256 reward);

    function params() external view returns (Params memory);
    /// @notice The epoch of this block.
    function epoch() external view returns (uint64);
    /// @notice Validators ever registered.
    function count() external view returns (uint64);
    function get(uint64 validator) external view returns (Validator memory);
    /// @return validator zero if the account operates none.
    function validatorOf(address operator) external view returns (uint64 validator);
    /// @return validator zero if nobody registered the key.
    function keyInfo(bytes32 publicKey) external view returns (uint64 validator, bool tombstoned);
    function candidates(uint256 offset, uint256 limit) external view returns (uint64[] memory);
    /// @notice Size of an epoch's set; zero if it is not decided yet or forgotten.
    function setSize(uint64 epoch) external view returns (uint16);
    function set(uint64 epoch, uint256 offset, uint256 limit) external view returns (Member[] memory);
    function position(uint64 validator, address account)
        external
        view
        returns (uint256 shares, uint256 worth);
    /// @return free what `withdraw` pays apart from exits
    /// @return waiting number of exits that are not paid yet
    function account(address account) external view returns (uint256 free, uint256 waiting);
    function exits(address account, uint256 offset, uint256 limit) external view returns (Exit[] memory);
    function liabilities() external view returns (uint256);
}
