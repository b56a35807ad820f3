// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title IInference, at 0x4841000000000000000000000000000000000003
/// @notice Orders of model runs, in escrow until proven. The buyer orders, a seller claims with a
/// bond and delivers output and proof; the chain verifies the proof and pays in that transaction.
/// An open order shows its input and its output to everyone. A sealed order shows neither: it names
/// its sellers, carries the input encrypted to them, and is answered with a masked output.
/// @dev Times are Unix milliseconds of block headers, money is wei, parts are in 1/10000.
interface IInference {
    /// @notice How sure the buyer wants to be. Only `Proven` has a judge on this chain so far.
    enum Level {
        Trusted,
        Audited,
        Exact,
        Proven
    }

    /// @notice Where an order stands. `Paid`, `Cancelled` and `Refunded` are final.
    enum Status {
        None,
        Open,
        Claimed,
        Paid,
        Cancelled,
        Refunded
    }

    /// @notice One order, with the terms it was placed under.
    struct Order {
        uint256 id;
        bytes32 model;
        address buyer;
        Level level;
        Status status;
        // Escrow, split at delivery.
        uint128 price;
        uint16 ownerShareBps;
        uint16 networkBps;
        // Version of the proof system that judges the delivery.
        uint16 verifierVersion;
        uint64 orderedAtMs;
        uint64 deadlineMs;
        // keccak256 of the input bytes; of a sealed order, the commitment to the input.
        bytes32 inputHash;
        // Who holds the claim, or was paid; zero when open.
        address seller;
        // Locked out of the seller's deposit while claimed.
        uint256 bond;
        uint64 claimedAtMs;
        // Last millisecond at which the claimant may deliver.
        uint64 windowEndMs;
        // Hash of a block after the model's registration, fixed by the claim.
        bytes32 anchor;
        // keccak256 of the output bytes; zero until paid.
        bytes32 outputHash;
        // What slashed bonds may still return to the buyer of the cost of ordering.
        uint256 compensationLeft;
        // Whether input and output are hidden and only named sellers may claim.
        bool isSealed;
    }

    /// @notice The market's parameters, fixed at genesis.
    struct Params {
        // How long a claim is exclusive, in milliseconds.
        uint64 claimWindowMs;
        // Smallest bond of a claim.
        uint256 minBond;
        // Bond in 1/10000 of the price, if above `minBond`.
        uint16 bondBps;
        // The network's part of a price.
        uint16 networkBps;
        // Claims that a seller may hold at a time.
        uint32 maxOpenClaimsPerSeller;
        // Longest input, in bytes.
        uint32 maxInputBytes;
        // Open orders looked at after each block.
        uint32 sweepPerBlock;
        // Who is paid the network's part.
        address treasury;
        // The proof system of new orders.
        uint16 verifierVersion;
    }

    /// @notice An order was placed and its price taken into escrow.
    event Ordered(
        uint256 indexed id,
        bytes32 indexed model,
        address indexed buyer,
        uint8 level,
        uint128 price,
        uint64 deadlineMs,
        bytes32 inputHash
    );
    /// @notice The order just placed is sealed to these sellers; its `inputHash` is a commitment.
    event Sealed(uint256 indexed id, address[] sellers);
    /// @notice A seller's X25519 key for sealed orders; zero: it takes none any more.
    event SealingKeySet(address indexed seller, bytes32 key);
    /// @notice A seller holds the order until `windowEndMs`.
    event Claimed(
        uint256 indexed id,
        address indexed seller,
        uint256 bond,
        uint64 windowEndMs,
        bytes32 anchor
    );
    /// @notice The proof was verified; this is the output, masked if the order is sealed.
    event Delivered(uint256 indexed id, bytes output);
    /// @notice The escrow was paid out. `context` is what the proof was bound to.
    event Paid(
        uint256 indexed id,
        bytes32 indexed model,
        address indexed seller,
        address buyer,
        bytes32 digest,
        bytes32 inputHash,
        bytes32 outputHash,
        bytes32 context,
        bytes32 anchor,
        uint256 toSeller,
        uint256 toOwner,
        uint256 toNetwork
    );
    /// @notice A claimant missed its window: of its bond, a part went to the buyer, the rest was
    /// burned.
    event Slashed(
        uint256 indexed id,
        address indexed seller,
        address indexed buyer,
        uint256 compensation,
        uint256 burned
    );
    /// @notice A slashed order waits for another claim.
    event Reopened(uint256 indexed id);
    /// @notice The buyer took back an unclaimed order and its escrow.
    event Cancelled(uint256 indexed id, address indexed buyer, uint256 refund);
    /// @notice Nobody delivered in time; the escrow went back.
    event Refunded(uint256 indexed id, address indexed buyer, uint256 refund);
    /// @notice A seller's free deposit grew.
    event Deposited(address indexed seller, uint256 amount);
    /// @notice A seller took from its free deposit.
    event Withdrawn(address indexed seller, uint256 amount);

    /// @notice No order has this id.
    error UnknownOrder(uint256 id);
    /// @notice No judge for this level on this chain.
    error LevelUnavailable(uint8 level);
    /// @notice No listed model has this id.
    error UnknownModel(bytes32 model);
    /// @notice The model takes no orders any more.
    error ModelRetired(bytes32 model);
    /// @notice The coins sent are not the model's price.
    error WrongPayment(uint256 price);
    /// @notice The deadline is nearer than two claim windows.
    error DeadlineTooSoon(uint64 deadlineMs, uint64 earliestMs);
    /// @notice The input is above the limit, both in bytes.
    error InputTooLong(uint256 length, uint256 maximum);
    /// @notice The input does not fit the model's graph; the reason is for people.
    error InvalidInput(string reason);
    /// @notice No proof of this model can hide its input; it takes open orders only.
    error SealedUnavailable(bytes32 model);
    /// @notice Not a commitment: eight field elements in canonical form.
    error InvalidCommitment(bytes32 commitment);
    /// @notice A sealed order names at least one seller and at most `maximum`.
    error SellersOutOfRange(uint256 count, uint256 maximum);
    /// @notice The seller is named twice.
    error DuplicateSeller(address seller);
    /// @notice The seller has no key that an input could be sealed to.
    error NoSealingKey(address seller);
    /// @notice The order is sealed to other sellers.
    error NotNamed(address seller);
    /// @notice The order is not in the status that this step needs.
    error WrongStatus(uint256 id, Status status);
    /// @notice Only the buyer may do this.
    error NotBuyer(address buyer);
    /// @notice Only the seller that holds the claim may do this.
    error NotSeller(address seller);
    /// @notice Less than one claim window is left before the order's deadline.
    error TooLateToClaim(uint64 deadlineMs, uint64 latestMs);
    /// @notice The model is too young: claims begin with block `earliestBlock`.
    error TooEarlyToClaim(uint64 earliestBlock);
    /// @notice The seller holds as many claims as it may.
    error TooManyClaims(uint32 open, uint32 maximum);
    /// @notice The free deposit is smaller than what this step takes.
    error InsufficientDeposit(uint256 free, uint256 needed);
    /// @notice The claim's window is over.
    error WindowClosed(uint64 windowEndMs, uint64 nowMs);
    /// @notice The order was placed under a proof system that is no longer judged.
    error VerifierUnavailable(uint16 version);
    /// @notice The output's length is not that of the model's output, both in bytes.
    error WrongOutputLength(uint256 length, uint256 expected);
    /// @notice The output does not decode; the reason is for people.
    error InvalidOutput(string reason);
    /// @notice The proof is above the model's limit, both in bytes.
    error ProofTooLong(uint256 length, uint256 maximum);
    /// @notice The proof does not show that the model gives this output for the order's input.
    /// The claim stays as it is; the reason is for people.
    error ProofRefused(string reason);
    /// @notice Neither the claim's window nor the order's deadline has passed.
    error NothingToExpire(uint256 id, uint64 fromMs);
    /// @notice No coins, or zero, where an amount is needed.
    error ZeroAmount();
    /// @notice A listing gives at most `maximum` entries a call.
    error LimitTooLarge(uint256 limit, uint256 maximum);

    /// @notice Orders one run. The coins sent must be exactly the model's price.
    /// @param model Id in `Models`.
    /// @param level A `Level`; a number without a judge is refused by name.
    /// @param input The graph's input encoding.
    /// @param deadlineMs When the escrow goes back at the latest; at least two claim windows away.
    function order(bytes32 model, uint8 level, bytes calldata input, uint64 deadlineMs)
        external
        payable
        returns (uint256 id);
    /// @notice Orders one run whose input only the named sellers can read. The coins sent must be
    /// exactly the model's price.
    /// @param model Id in `Models`.
    /// @param level A `Level`; a number without a judge is refused by name.
    /// @param commitment To the input and to a one-time pad of the output.
    /// @param sellers Who may claim: at most 8, each once, each with a sealing key.
    /// @param envelope The input, encrypted to them. The chain does not look into it.
    /// @param deadlineMs When the escrow goes back at the latest; at least two claim windows away.
    function orderSealed(
        bytes32 model,
        uint8 level,
        bytes32 commitment,
        address[] calldata sellers,
        bytes calldata envelope,
        uint64 deadlineMs
    ) external payable returns (uint256 id);
    /// @notice Sets the caller's X25519 public key for later sealed orders; zero takes it off the
    /// list. Orders that were sealed to an earlier key stay sealed to that one.
    function setSealingKey(bytes32 key) external;
    /// @notice Adds the coins sent to the caller's free deposit.
    function deposit() external payable;
    /// @notice Takes from the caller's free deposit.
    function withdraw(uint256 amount) external;
    /// @notice Takes an open order, exclusively for one claim window, with a bond.
    function claim(uint256 id) external;
    /// @notice Delivers the output and its proof; pays if the proof holds, reverts if not. The
    /// output of a sealed order is masked: 4 bytes an element, little endian, below p.
    function deliver(uint256 id, bytes calldata output, bytes calldata proof) external;
    /// @notice Takes back the caller's open order and its escrow.
    function cancel(uint256 id) external;
    /// @notice Settles a missed window or a passed deadline; anyone may call.
    function expire(uint256 id) external;

    /// @notice The order of this id.
    function get(uint256 id) external view returns (Order memory);
    /// @notice Number of orders ever placed; ids run from 1 to this.
    function count() external view returns (uint256);
    /// @notice Ids of orders that are open or claimed, in no particular order, at most 100 a call.
    function open(uint256 offset, uint256 limit) external view returns (uint256[] memory);
    /// @notice Number of orders that are open or claimed.
    function openCount() external view returns (uint256);
    /// @notice The sellers that a sealed order names; empty if it is open to all.
    function sellers(uint256 id) external view returns (address[] memory);
    /// @notice A seller's X25519 key; zero if it takes no sealed orders.
    function sealingKey(address seller) external view returns (bytes32);
    /// @notice Sellers that have a sealing key, in no particular order, at most 100 a call.
    function sealingSellers(uint256 offset, uint256 limit)
        external
        view
        returns (address[] memory);
    /// @notice The input bytes of an order; the envelope, if it is sealed.
    function input(uint256 id) external view returns (bytes memory);
    /// @notice The output bytes of an order, masked if it is sealed; empty until paid.
    function output(uint256 id) external view returns (bytes memory);
    /// @notice A seller's deposit: free, locked in bonds, and the number of its claims.
    function deposits(address seller)
        external
        view
        returns (uint256 free, uint256 locked, uint32 openClaims);
    /// @notice The market's parameters.
    function params() external view returns (Params memory);
    /// @notice What the contract owes: the escrows of open and claimed orders, and all deposits.
    function liabilities() external view returns (uint256);
}
